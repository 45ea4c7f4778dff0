//! RLE Lossless (PS3.5 G): byte planes, high bytes first, each packed row by row.

use crate::recipe::Geometry;

/// The header: a count and 15 offsets of 32 bits.
const HEADER_BYTES: usize = 64;
/// The longest run or literal that one count byte can stand for.
const RUN_MAX: usize = 128;

/// Returns a frame's segments.
pub(super) fn encode(frame: &[u8], geometry: &Geometry) -> Vec<u8> {
    let bytes = (geometry.samples * geometry.bits_allocated / 8) as usize;
    let sample_bytes = (geometry.bits_allocated / 8) as usize;
    let mut header = vec![0; HEADER_BYTES];
    header[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
    let mut segments = Vec::new();
    for segment in 0..bytes {
        // Samples are little-endian, segments begin with the highest byte of each sample.
        let (sample, place) = (segment / sample_bytes, segment % sample_bytes);
        let from = sample * sample_bytes + (sample_bytes - 1 - place);
        let offset = (HEADER_BYTES + segments.len()) as u32;
        header[4 + 4 * segment..8 + 4 * segment].copy_from_slice(&offset.to_le_bytes());
        let bytes_of_rank: Vec<u8> = frame.iter().skip(from).step_by(bytes).copied().collect();
        for row in bytes_of_rank.chunks(geometry.columns as usize) {
            pack(row, &mut segments);
        }
        if segments.len() % 2 == 1 {
            segments.push(0);
        }
    }
    header.extend(segments);
    header
}

/// Appends a row, packed: runs of three and more, and what is between them as it is.
fn pack(row: &[u8], packed: &mut Vec<u8>) {
    let mut rest = row;
    while !rest.is_empty() {
        let run = run_length(rest);
        if run >= 3 {
            packed.extend([(257 - run) as u8, rest[0]]);
            rest = &rest[run..];
            continue;
        }
        let mut literal = run;
        while literal < rest.len().min(RUN_MAX) && run_length(&rest[literal..]) < 3 {
            literal += 1;
        }
        packed.push((literal - 1) as u8);
        packed.extend_from_slice(&rest[..literal]);
        rest = &rest[literal..];
    }
}

/// Returns how often the first byte is repeated at the beginning, itself included.
fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take(RUN_MAX).take_while(|&&byte| byte == bytes[0]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(mut packed: &[u8], length: usize) -> Vec<u8> {
        let mut row = Vec::new();
        while row.len() < length {
            let count = usize::from(packed[0]);
            if count < 128 {
                row.extend_from_slice(&packed[1..count + 2]);
                packed = &packed[count + 2..];
            } else {
                row.resize(row.len() + 257 - count, packed[1]);
                packed = &packed[2..];
            }
        }
        row
    }

    #[test]
    fn rows_come_back() {
        let long: Vec<u8> = (0..400_u32).map(|at| (at * at / 300) as u8).collect();
        for row in [&[7; 300][..], &[1, 2, 3], &[1, 1, 2, 2, 2, 3], &[5, 5], &long] {
            let mut packed = Vec::new();
            pack(row, &mut packed);
            assert_eq!(unpack(&packed, row.len()), row);
        }
    }
}
