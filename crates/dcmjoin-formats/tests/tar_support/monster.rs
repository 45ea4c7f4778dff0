//! Archives at random, from a seed: lawful ones of all features at once, and damage.

use super::{Archive, BLOCK, GNU, Header, USTAR, V7, base_256, file, octal};

/// A small generator of numbers (xorshift64*), so that a seed is an archive for good.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % bound
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    fn name(&mut self, length_max: usize) -> String {
        let alphabet = ["a", "b", "7", ".", "_", " ", "/x", "ä", "-"];
        let length = 1 + self.below(length_max);
        // Starts with a letter and ends in one: no option, no folder.
        let middle: String = (0..length).map(|_| *self.pick(&alphabet)).collect();
        let name = format!("n{middle}");
        let mut end = name.len().min(length_max.max(2));
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}z", &name[..end])
    }

    fn content(&mut self) -> Vec<u8> {
        let length = *self.pick(&[0, 1, 3, 511, 512, 513, 1024, 2000, 70_000]);
        if self.one_in(4) && length >= BLOCK {
            // A tar header inside: whoever loses the place lists it.
            let mut content = file("smuggled.json", 0).block().to_vec();
            content.resize(length.next_multiple_of(BLOCK), 0);
            return content;
        }
        self.bytes(length)
    }
}

/// Which features an archive may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Features {
    /// All that is lawful.
    All,
    /// Those that the tar crate knows, too.
    Common,
}

/// Makes a lawful archive.
pub(crate) fn lawful(seed: u64, features: Features) -> Vec<u8> {
    let random = &mut Random::new(seed);
    let mut archive = Archive::new();
    for part in 0..=random.below(3) {
        if part > 0 {
            archive = archive.zeros(1 + random.below(4));
        }
        for _ in 0..=random.below(8) {
            archive = member(archive, random, features);
        }
    }
    match random.below(4) {
        0 => archive.0,
        1 => archive.zeros(1).0,
        2 => archive.end().0,
        _ => {
            let blocks = archive.0.len() / BLOCK;
            archive.zeros(blocks.next_multiple_of(20) - blocks + 20).0
        }
    }
}

fn member(archive: Archive, random: &mut Random, features: Features) -> Archive {
    let flags: &[u8] = match features {
        Features::All => b"000\x007125346ZDV",
        Features::Common => b"0000\x007",
    };
    let flag = *random.pick(flags);
    let magic = *random.pick(&[V7, USTAR, GNU]);
    let content = if b"346V".contains(&flag) { Vec::new() } else { random.content() };
    let mut header = file(&random.name(20), 0).flag(flag).magic(magic);
    if magic == USTAR && random.one_in(3) {
        header = header.prefix(&random.name(100));
    }
    if b"12".contains(&flag) {
        header.link = random.name(20).into();
    }
    let (archive, by_pax) = extensions(archive, random, features, &mut header, content.len());
    // A folder stores nothing whatever its size says, a hard link only what pax records say.
    let stores = match flag {
        b'5' => false,
        b'1' => by_pax,
        _ => true,
    };
    let archive = archive.header(&header);
    if stores { archive.content(&content) } else { archive }
}

/// Puts what may come before a header; returns whether pax records give the size.
fn extensions(
    archive: Archive,
    random: &mut Random,
    features: Features,
    header: &mut Header,
    size: usize,
) -> (Archive, bool) {
    let mut archive = archive;
    let true_size = size as u64;
    header.size = match random.below(4) {
        0 => base_256(true_size),
        1 => format!("{true_size:12o}").into(),
        _ => octal(true_size),
    };
    if features == Features::All && random.one_in(8) {
        archive = archive.global(&[("comment", "for all"), ("mtime", "12")]);
    }
    // The tar crate lets a long name go before the path of pax records.
    let long_name = random.one_in(5);
    if long_name {
        let name = random.name(600);
        archive = archive.long_name(&name);
    }
    let mut by_pax = false;
    if random.one_in(3) {
        let (path, digits, length) = (random.name(300), size.to_string(), random.below(600));
        let mut records = vec![("mtime", "1.25")];
        let comment = "c".repeat(length);
        records.push(("comment", &comment));
        if random.one_in(2) && (features == Features::All || !long_name) {
            records.push(("path", &path));
        }
        if random.one_in(2) {
            by_pax = true;
            records.push(("size", &digits));
            header.size = octal(if random.one_in(2) { 0 } else { random.below(9000) as u64 });
        }
        archive = archive.pax(&records);
    }
    if features == Features::All && random.one_in(8) {
        archive = archive.extension(b'K', format!("{}\0", random.name(300)).as_bytes());
    }
    if features == Features::All && random.one_in(8) {
        let name = random.name(300);
        archive = archive.long_name(&name);
    }
    (archive, by_pax)
}

/// Changes one byte of a header block, mostly where it matters, and makes its checksum right again.
pub(crate) fn forge(archive: &mut [u8], random: &mut Random) {
    let blocks = archive.len() / BLOCK;
    let headers: Vec<_> = (0..blocks)
        .map(|block| block * BLOCK)
        .filter(|&at| {
            archive[at + 148..at + 155].iter().all(|byte| matches!(byte, b'0'..=b'7' | 0))
        })
        .filter(|&at| archive[at] != 0)
        .collect();
    if headers.is_empty() {
        return;
    }
    let header = *random.pick(&headers);
    let block = &mut archive[header..header + BLOCK];
    for _ in 0..=random.below(2) {
        let at = match random.below(6) {
            0 => random.below(100),
            1 | 2 => 124 + random.below(12),
            3 => 156,
            4 => 257 + random.below(8),
            _ => 345 + random.below(155),
        };
        let flags = b"0123456789\0LKxgXSDMVNZ";
        let digits = b"0123456789 \0\x80\xff-+k";
        block[at] = match at {
            156 => *random.pick(flags),
            124..=135 => *random.pick(digits),
            _ => random.below(256) as u8,
        };
    }
    rechecksum(block);
}

pub(crate) fn rechecksum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
