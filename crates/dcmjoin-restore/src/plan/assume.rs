//! What a plan assumes: each figure with its name, its unit and its reason, all of them in the output.

use serde::Serialize;

use super::Question;

/// The figures that nobody gave. Whoever knows better sets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumptions {
    /// Whether the number of instances was worked out from this many bytes each.
    pub instance_bytes: Option<u64>,
    /// Whether the metadata side was taken as so many percent of the image side.
    pub metadata_percent: Option<u64>,
    /// Bytes of one GET.
    pub range_bytes: u64,
    /// How much of its line rate a machine reads at, in percent.
    pub line_percent: u64,
    /// Hours kept free before copies go.
    pub margin_hours: u64,
    /// Hours by which a copy outlives its days in the mean.
    pub copy_extra_hours: u64,
    /// Hours of a month of storage.
    pub month_hours: u64,
    /// Prefixes that requests are spread over.
    pub prefixes: u64,
    /// Writes that S3 takes a second, for each prefix.
    pub puts_per_sec: u64,
    /// Reads that S3 takes a second, for each prefix.
    pub gets_per_sec: u64,
    /// Restore requests a second.
    pub restores_per_sec: u64,
    /// Bytes of a part of a large upload.
    pub part_bytes: u64,
    /// Bytes of a shard.
    pub shard_bytes: u64,
    /// Instances of a series.
    pub series_instances: u64,
    /// Bytes of a header in the header store.
    pub header_bytes: u64,
    /// Bytes of a header pack.
    pub pack_bytes: u64,
    /// Bytes of a half in the two-pass run's maps.
    pub map_bytes: u64,
    /// Days that intermediate objects stay.
    pub raw_days: u64,
    /// Days that archives are kept in S3 Standard; none are where 0.
    pub keep_days: u64,
    /// Bytes of a part in which they are put there.
    pub keep_part_bytes: u64,
    /// SQS requests for each archive.
    pub sqs_per_archive: u64,
    /// KMS calls with bucket keys, in percent of those without.
    pub bucket_key_percent: u64,
    /// Bytes of headers that a machine without local disks holds.
    pub system_disk_bytes: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            instance_bytes: None,
            metadata_percent: None,
            range_bytes: 16 << 20,
            line_percent: 85,
            margin_hours: 2,
            copy_extra_hours: 12,
            month_hours: 730,
            prefixes: 1,
            puts_per_sec: 3_500,
            gets_per_sec: 5_500,
            restores_per_sec: 1_000,
            part_bytes: 16 << 20,
            shard_bytes: 1 << 30,
            series_instances: 100,
            header_bytes: 2_048,
            pack_bytes: 64 << 20,
            map_bytes: 210,
            raw_days: 30,
            keep_days: 0,
            keep_part_bytes: 8 << 20,
            sqs_per_archive: 6,
            bucket_key_percent: 1,
            system_disk_bytes: 50_000_000_000,
        }
    }
}

/// The bytes of an instance where their number is not known: 1 PiB of real archives held about 1e9.
pub const INSTANCE_BYTES: u64 = 1 << 20;
/// The metadata side where it is not known, in percent of the image side.
pub const METADATA_PERCENT: u64 = 1;

/// One of them, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Of what.
    pub unit: &'static str,
    /// Why.
    pub why: &'static str,
}

impl Assumptions {
    /// Returns those that the answer to the question rests on.
    #[must_use]
    pub fn list(&self, question: &Question) -> Vec<Assumption> {
        let mut list = Vec::new();
        let mut add = |name, value, unit, why| list.push(Assumption { name, value, unit, why });
        if let Some(bytes) = self.instance_bytes {
            let why = "no number of instances was given: image bytes are divided by this";
            add("instance_bytes", bytes, "bytes", why);
        }
        if let Some(percent) = self.metadata_percent {
            let why = "no metadata bytes were given: this part of the image bytes";
            add("metadata_percent", percent, "percent", why);
        }
        self.reading(&mut add);
        self.copies(question, &mut add);
        self.writing(&mut add);
        list
    }

    fn reading(&self, add: &mut impl FnMut(&'static str, u64, &'static str, &'static str)) {
        add("range_bytes", self.range_bytes, "bytes", "one GET; at most one more for each archive");
        add("line_percent", self.line_percent, "percent", "of its line rate a machine reads at");
        add(
            "restores_per_sec",
            self.restores_per_sec,
            "a second",
            "S3 takes no more restore requests of an account",
        );
        add(
            "gets_per_sec",
            self.gets_per_sec,
            "a second",
            "S3 gives for each prefix, once it has split",
        );
        add(
            "puts_per_sec",
            self.puts_per_sec,
            "a second",
            "S3 takes for each prefix, once it has split",
        );
        add(
            "prefixes",
            self.prefixes,
            "prefixes",
            "that requests are spread over; {hash} in --layout gives more",
        );
    }

    fn copies(
        &self,
        question: &Question,
        add: &mut impl FnMut(&'static str, u64, &'static str, &'static str),
    ) {
        if question.class.copy_expires() {
            add(
                "margin_hours",
                self.margin_hours,
                "hours",
                "kept free between a scan and its copy's end",
            );
            add(
                "copy_extra_hours",
                self.copy_extra_hours,
                "hours",
                "a copy outlives its days in the mean: they are rounded up to midnight UTC",
            );
        }
        add(
            "month_hours",
            self.month_hours,
            "hours",
            "of a month of storage; nothing else is in the account's S3 Standard",
        );
        add("raw_days", self.raw_days, "days", "that intermediate objects stay");
        if self.keep_days > 0 {
            add("keep_days", self.keep_days, "days", "that archives are kept in S3 Standard");
            add("keep_part_bytes", self.keep_part_bytes, "bytes", "a part of a copy to keep");
        }
        add(
            "sqs_per_archive",
            self.sqs_per_archive,
            "requests",
            "three events, each received and deleted",
        );
    }

    fn writing(&self, add: &mut impl FnMut(&'static str, u64, &'static str, &'static str)) {
        add("part_bytes", self.part_bytes, "bytes", "a part of an upload of shards and tars");
        add("shard_bytes", self.shard_bytes, "bytes", "a shard");
        add("series_instances", self.series_instances, "instances", "a series");
        add("header_bytes", self.header_bytes, "bytes", "a header in the header store, compressed");
        add("pack_bytes", self.pack_bytes, "bytes", "a header pack");
        add("map_bytes", self.map_bytes, "bytes", "a half in maps keyed by UIDs, as measured");
        add(
            "bucket_key_percent",
            self.bucket_key_percent,
            "percent",
            "of KMS calls are left with bucket keys (AWS: up to 99 percent fewer)",
        );
        add(
            "system_disk_bytes",
            self.system_disk_bytes,
            "bytes",
            "of headers that a machine without local disks holds",
        );
    }
}
