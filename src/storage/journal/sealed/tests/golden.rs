//! The bytes of sealed files. A golden value that changes is a change of the format.

use super::source::{STORE_ID, checksum, small};
use crate::{
    codec::{
        frame::FIRST_FRAME_OFFSET,
        sealed::{Footer, SealedFacts, SealedHeader, new_sealed_header},
    },
    storage::journal::{bytes::FrameBytes, sealed::SealedFile},
};

const HEADER: &str = "\
     414e5345414c44310100000000112233445566778899aabbccddeeff0700000000000000030000000000\
     000004030201010000000000000000000000ea828d33";

const FOOTER: &str = "\
     414e5345414c4654e8030000000000003c00000014131211242322210100000007000000000000002c01\
     000000000000030000000000000009000000000000000403020108070605001000000000000000000000\
     00000000000000000000000000000000000000000000000000000000000000000000000000000000e7a9\
     dbbe";

/// Its compressed parts are those produced by the pinned version of the compressor.
const SMALL_FILE: &str = "\
    414e5345414c44310100000000112233445566778899aabbccddeeff2900000000000000070000000000\
    00000403020100000000000000000000000063aec751f203414e46520100000056000000020000002900\
    010012070700f00a0004030201ba3f9cc900112233445566778899aabbccddeeff3400f1167456092451\
    0000000129020261000b0262000b010554797065000b62696c6c696e6700c3bc5600100a2f0090013100\
    000100000f010600090200c00900077b2278223a317d0004240019a51e000f02000a00c0005304000000\
    112600132b08001308080000a4004f24468ae2c00001ff05c8cca3060c000000030327dfe6a0046d6169\
    6c2a7b001801020000800000dd001031080107800011091e000264004fe6e5738e8000015025c39b9c1d\
    3800632b010262000c3c0101470001310161025b5d00000ba1009cdc043eb003736d732ba00000800000\
    6201040200132c0900130a0800006400010b000dc00160000021238c0101610b01010001620b02010019\
    000100600009010000000762696c6c696e672a01010002c3bc2a010100046d61696c2a03736d732bfb2d\
    01fb0002012b040e8d00030508fb6d010c0c000730f1b60161c5fb79010b140192f49c73100001006000\
    0000000009fb8401131300259e67320762696c6c696e67fb97010b0b005f7c5dbb046d61696c06626c6f\
    636b73fba2010d0d00a0f124110574696d6573fbaf0102020080b10e460773747265616d73fbb1010c0c\
    0052e2e1c003696473fbbd01161b01fa69cdb40474616773fbd30112120018c1e1790b636865636b706f\
    696e7473fbe5010f0f005a34388c414e5345414c4654f40100000000000066000000a223cf6163aec751\
    0000000029000000000000002b00000000000000070000000000000009000000000000000403020125c3\
    9b9c00040000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000523156b3";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header() -> SealedHeader {
    new_sealed_header((STORE_ID, 7), (3, 0x0102_0304), true)
}

#[test]
fn header_bytes() {
    let bytes = header().encode(&checksum());
    assert_eq!(hex(&bytes), HEADER);
    let decoded = SealedHeader::decode(&bytes, &checksum());
    assert_eq!(decoded, Ok((header(), SealedHeader::checksum_in(&bytes))));
    assert!(!SealedHeader { is_rebuilt: false, ..header() }.encode(&checksum()).eq(&bytes));
}

#[test]
fn footer_bytes() {
    let facts = SealedFacts {
        first_position: 7,
        last_position: 300,
        first_frame: 3,
        last_frame: 9,
        prev_checksum: 0x0102_0304,
        last_checksum: 0x0506_0708,
        end: 4_096,
        file_len: 1_000 + 60 + 128,
        checksum: 0,
        is_rebuilt: true,
    };
    let footer = Footer {
        directory_offset: 1_000,
        directory_len: 60,
        directory_checksum: 0x1112_1314,
        header_checksum: 0x2122_2324,
        facts,
    };
    let (bytes, sum) = footer.encode(&checksum());
    assert_eq!(hex(&bytes), FOOTER);
    let expected = Footer { facts: SealedFacts { checksum: sum, ..facts }, ..footer };
    assert_eq!(Footer::decode(&bytes, facts.file_len, &checksum()), Ok(expected));
    assert!(Footer::decode(&bytes, facts.file_len + 1, &checksum()).is_err());
    let mut kept = Vec::new();
    facts.encode(&mut kept).expect("encoded");
    assert_eq!(hex(&kept), "07fb2c010309fc04030201fc08070605fb0010fba4040001");
}

#[test]
fn bytes_of_a_small_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = small();
    source.seal(directory.path(), &[]).expect("sealed");
    let bytes = std::fs::read(source.path_in(directory.path())).expect("read");
    assert_eq!(hex(&bytes), SMALL_FILE);
    let file = SealedFile::open(&source.path_in(directory.path()), STORE_ID, &checksum());
    let mut frames = vec![0; source.bytes.len()];
    file.expect("opened").read_at(FIRST_FRAME_OFFSET, &mut frames).expect("read");
    assert_eq!(frames, source.bytes);
}
