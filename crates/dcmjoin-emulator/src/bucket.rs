//! A bucket: its keys in UTF-8 byte order, and their versions.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::event::Route;
use crate::multipart::Upload;
use crate::object::Object;
use crate::time::Time;

/// A key, or a bucket's name; shared, since schedules and events name objects too.
pub(crate) type Name = Arc<str>;

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Versioning {
    #[default]
    Never,
    Enabled,
    Suspended,
}

/// What stands under a key: the current version, and those before it, oldest first.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) current: Object,
    older: Vec<Object>,
}

impl Entry {
    /// Returns all versions, newest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(&self.current).chain(self.older.iter().rev())
    }

    fn versions_mut(&mut self) -> impl Iterator<Item = &mut Object> {
        std::iter::once(&mut self.current).chain(self.older.iter_mut())
    }
}

/// Why there is no object to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Key,
    Version,
    /// The version is there, and says that the object is not.
    Marker,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) name: Name,
    pub(crate) created: Time,
    pub(crate) versioning: Versioning,
    /// Where the bucket's events go.
    pub(crate) routes: Vec<Route>,
    /// Events go to the event bus, too, where rules take them.
    pub(crate) event_bridge: bool,
    pub(crate) uploads: BTreeMap<String, Upload>,
    entries: BTreeMap<Name, Entry>,
}

impl Bucket {
    pub(crate) fn new(name: &str, created: Time) -> Self {
        Self {
            name: name.into(),
            created,
            versioning: Versioning::default(),
            routes: Vec::new(),
            event_bridge: false,
            uploads: BTreeMap::new(),
            entries: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the object under a key, or one version of it.
    pub(crate) fn find(&self, key: &str, version: Option<&str>) -> Result<&Object, Missing> {
        let entry = self.entries.get(key).ok_or(Missing::Key)?;
        let Some(version) = version else {
            return if entry.current.marker { Err(Missing::Key) } else { Ok(&entry.current) };
        };
        let object = entry.versions().find(|object| object.version() == version);
        let object = object.ok_or(Missing::Version)?;
        if object.marker { Err(Missing::Marker) } else { Ok(object) }
    }

    /// Returns an object by what no other has, wherever it stands among the versions.
    pub(crate) fn by_id(&self, key: &str, id: u64) -> Option<&Object> {
        self.entries.get(key)?.versions().find(|object| object.id == id)
    }

    pub(crate) fn by_id_mut(&mut self, key: &str, id: u64) -> Option<&mut Object> {
        self.entries.get_mut(key)?.versions_mut().find(|object| object.id == id)
    }

    /// Returns the name that is shared of a key that is there.
    pub(crate) fn name_of(&self, key: &str) -> Option<Name> {
        self.entries.get_key_value(key).map(|(name, _)| name.clone())
    }

    /// Puts an object, and returns the one that is gone thereby.
    pub(crate) fn put(&mut self, key: &str, mut object: Object) -> Option<Object> {
        object.versioned = self.versioning == Versioning::Enabled;
        let Some(entry) = self.entries.get_mut(key) else {
            self.entries.insert(key.into(), Entry { current: object, older: Vec::new() });
            return None;
        };
        let before = std::mem::replace(&mut entry.current, object);
        if entry.current.versioned {
            entry.older.push(before);
            return None;
        }
        if !before.versioned {
            return Some(before);
        }
        // Suspended: there is one `null` version at most, and this is now it.
        let null = entry.older.iter().position(|object| !object.versioned);
        let gone = null.map(|at| entry.older.remove(at));
        entry.older.push(before);
        gone
    }

    /// Removes the object under a key for good; with it go all its versions.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Object> {
        self.entries.remove(key).map(|entry| entry.current)
    }

    /// Removes one version for good.
    pub(crate) fn remove_version(&mut self, key: &str, version: &str) -> Option<Object> {
        let entry = self.entries.get_mut(key)?;
        if let Some(at) = entry.older.iter().position(|object| object.version() == version) {
            return Some(entry.older.remove(at));
        }
        if entry.current.version() != version {
            return None;
        }
        match entry.older.pop() {
            Some(newest) => Some(std::mem::replace(&mut entry.current, newest)),
            None => self.remove(key),
        }
    }

    /// Returns the keys from a bound on.
    pub(crate) fn from(&self, start: Bound<&str>) -> impl Iterator<Item = (&Name, &Entry)> {
        self.entries.range::<str, _>((start, Bound::Unbounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use crate::class::StorageClass;
    use crate::object::Tag;

    fn bucket(versioning: Versioning) -> Bucket {
        let mut bucket = Bucket::new("b", Time::from_millis(0));
        bucket.versioning = versioning;
        bucket
    }

    fn object(id: u64) -> Object {
        let body = Body::from("x");
        let tag = Tag::of(&body, id);
        Object::new(id, body, tag, StorageClass::Standard, Time::from_millis(id))
    }

    fn ids(bucket: &Bucket) -> Vec<u64> {
        bucket.from(Bound::Unbounded).flat_map(|(_, e)| e.versions()).map(|o| o.id).collect()
    }

    #[test]
    fn without_versions_the_last_one_stays() {
        let mut bucket = bucket(Versioning::Never);
        assert!(bucket.put("k", object(1)).is_none());
        assert_eq!(bucket.put("k", object(2)).unwrap().id, 1);
        assert_eq!(bucket.find("k", None).unwrap().id, 2);
        assert_eq!(bucket.find("k", Some("null")).unwrap().id, 2);
        assert_eq!(bucket.find("k", Some("other")).unwrap_err(), Missing::Version);
        assert_eq!(bucket.find("none", None).unwrap_err(), Missing::Key);
        assert_eq!(bucket.remove("k").unwrap().id, 2);
        assert!(bucket.is_empty());
    }

    #[test]
    fn versions_are_kept_newest_first() {
        let mut bucket = bucket(Versioning::Never);
        bucket.put("k", object(1));
        bucket.versioning = Versioning::Enabled;
        bucket.put("k", object(2));
        bucket.put("k", object(3));
        assert_eq!(ids(&bucket), [3, 2, 1]);
        let second = bucket.by_id("k", 2).unwrap().version();
        assert_eq!(bucket.find("k", Some(&second)).unwrap().id, 2);
        assert_eq!(bucket.remove_version("k", &second).unwrap().id, 2);
        let third = bucket.find("k", None).unwrap().version();
        assert_eq!(bucket.remove_version("k", &third).unwrap().id, 3);
        assert_eq!(ids(&bucket), [1]);
    }

    #[test]
    fn a_marker_hides_what_is_below() {
        let mut bucket = bucket(Versioning::Enabled);
        bucket.put("k", object(1));
        let mut marker = object(2);
        marker.marker = true;
        bucket.put("k", marker);
        assert_eq!(bucket.find("k", None).unwrap_err(), Missing::Key);
        let version = bucket.by_id("k", 2).unwrap().version();
        assert_eq!(bucket.find("k", Some(&version)).unwrap_err(), Missing::Marker);
        bucket.remove_version("k", &version).unwrap();
        assert_eq!(bucket.find("k", None).unwrap().id, 1);
    }

    #[test]
    fn suspended_versions_leave_one_null() {
        let mut bucket = bucket(Versioning::Never);
        bucket.put("k", object(1));
        bucket.versioning = Versioning::Enabled;
        bucket.put("k", object(2));
        bucket.versioning = Versioning::Suspended;
        assert_eq!(bucket.put("k", object(3)).unwrap().id, 1);
        assert_eq!(ids(&bucket), [3, 2]);
    }

    #[test]
    fn keys_come_in_byte_order() {
        let mut bucket = bucket(Versioning::Never);
        for (id, key) in ["o/a/b", "o/a", "o/a.b", "o/a-b", "ü", "z"].into_iter().enumerate() {
            bucket.put(key, object(id as u64));
        }
        let keys: Vec<_> = bucket.from(Bound::Unbounded).map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["o/a", "o/a-b", "o/a.b", "o/a/b", "z", "ü"]);
    }
}
