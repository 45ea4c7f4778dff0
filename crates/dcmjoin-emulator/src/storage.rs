//! What is stored, as its user sees it without a request.

use std::ops::Bound;
use std::sync::Arc;

use crate::body::Body;
use crate::bucket::Versioning;
use crate::class::{StorageClass, Tier};
use crate::emulator::Error;
use crate::event::Route;
use crate::inventory::{FileFormat, Inventory};
use crate::restore::Ask;
use crate::restoring::Mood;
use crate::world::Shared;

/// What is stored, without a request: to set up a test, and to look at what it left.
#[derive(Debug, Clone)]
pub struct Storage {
    shared: Arc<Shared>,
}

impl Storage {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// Where there is one of that name.
    pub fn create_bucket(&self, name: &str) -> Result<(), Error> {
        let made = self.shared.enter().create_bucket(name);
        let why = || "BucketAlreadyOwnedByYou".to_owned();
        made.then_some(()).ok_or_else(|| Error::Refused { what: "create a bucket", why: why() })
    }

    /// Has a bucket keep versions.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn keep_versions(&self, bucket: &str) -> Result<(), Error> {
        let mut world = self.shared.enter();
        let bucket = world.bucket_mut(bucket).map_err(Error::refused("keep versions"))?;
        bucket.versioning = Versioning::Enabled;
        Ok(())
    }

    /// Puts an object; no request is counted.
    ///
    /// # Errors
    /// Where there is no such bucket, or the memory for bodies is full.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        body: impl Into<Body>,
        class: StorageClass,
    ) -> Result<(), Error> {
        let mut world = self.shared.enter();
        world.put(bucket, key, body.into(), class).map_err(Error::refused("put an object"))
    }

    /// Sends a bucket's events to a queue, besides where they go already.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn add_route(&self, bucket: &str, route: Route) -> Result<(), Error> {
        let mut world = self.shared.enter();
        let bucket = world.bucket_mut(bucket).map_err(Error::refused("add a route"))?;
        bucket.routes.push(route);
        Ok(())
    }

    /// Writes an inventory report of a bucket, and returns the key of its `manifest.json`.
    ///
    /// It stands at `PREFIX/BUCKET/NAME/YYYY-MM-DDTHH-MMZ/`, its files below `PREFIX/BUCKET/NAME/data/`.
    ///
    /// # Errors
    /// Where there is no such bucket, or the memory for bodies is full.
    pub fn write_inventory(
        &self,
        bucket: &str,
        destination: &str,
        prefix: &str,
        name: &str,
        format: FileFormat,
    ) -> Result<String, Error> {
        let inventory = Inventory { bucket, destination, prefix, name, format };
        let key = self.shared.enter().write_inventory(inventory);
        key.map_err(Error::refused("write an inventory"))
    }

    /// Asks for a restore, as a request does that no rate holds up and no fault meets. True where
    /// a retrieval begins or becomes faster, false where the copy is there.
    ///
    /// # Errors
    /// What S3 refuses, by its code.
    pub fn restore(
        &self,
        bucket: &str,
        key: &str,
        tier: Tier,
        days: Option<u32>,
    ) -> Result<bool, Error> {
        let mood = Mood { unmetered: true, ..Mood::default() };
        let restored = self.shared.enter().restore((bucket, key, None), Ask { tier, days }, mood);
        restored.map_err(Error::refused("restore an object"))
    }

    /// Takes an object's restored copy away, now.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn expire(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let mut world = self.shared.enter();
        let object = world.object(bucket, key, None).map_err(Error::refused("expire a copy"))?;
        let id = object.id;
        world.expire(bucket, key, id);
        Ok(())
    }

    /// Gives an object another content, as somebody does who overwrites it while it is in use: its
    /// class and its restored copy stay, its entity tag does not.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn overwrite(&self, bucket: &str, key: &str, body: impl Into<Body>) -> Result<(), Error> {
        let mut world = self.shared.enter();
        world.object(bucket, key, None).map_err(Error::refused("overwrite an object"))?;
        world.overwrite(bucket, key, body.into());
        Ok(())
    }

    /// Deletes an object; nothing happens where there is none.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let deleted = self.shared.enter().delete(bucket, key, None);
        deleted.map(drop).map_err(Error::refused("delete an object"))
    }

    /// Returns an object's content, archived or not.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn body(&self, bucket: &str, key: &str) -> Result<Body, Error> {
        let world = self.shared.enter();
        let object = world.object(bucket, key, None).map_err(Error::refused("read an object"))?;
        Ok(object.body.clone())
    }

    /// Returns the id of an object's current version, in a bucket that keeps versions.
    ///
    /// # Errors
    /// Where there is no such object.
    pub fn version(&self, bucket: &str, key: &str) -> Result<Option<String>, Error> {
        let world = self.shared.enter();
        let object =
            world.object(bucket, key, None).map_err(Error::refused("look at an object"))?;
        Ok(object.version_header())
    }

    /// Returns the keys that start with a prefix, in UTF-8 byte order.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, Error> {
        let world = self.shared.enter();
        let bucket = world.bucket(bucket).map_err(Error::refused("list a bucket"))?;
        let entries = bucket.from(Bound::Included(prefix));
        let entries = entries.take_while(|(key, _)| key.starts_with(prefix));
        let there = entries.filter(|(_, entry)| !entry.current.marker);
        Ok(there.map(|(key, _)| key.to_string()).collect())
    }
}
