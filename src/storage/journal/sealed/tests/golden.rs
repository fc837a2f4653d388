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

/// Its compressed parts are as the pinned version of the compressor makes them.
const SMALL_FILE: &str = "\
     414e5345414c44310100000000112233445566778899aabbccddeeff2900000000000000070000000000\
     00000403020100000000000000000000000063aec751f203414e46520100000044000000020000002900\
     010012070700f00a0004030201a19ad5e200112233445566778899aabbccddeeff3400f10aa521cd173f\
     0000000129020261000b0262000b0105547970654a00100a2300800131000100000f010600090200c909\
     00077b2278223a317d00a519000f02001c00c0005304000000113800132b08001308080000a4003f2446\
     8ac00002ff05b2df7c580c000000030327dfe6a0046d61696c2a8d001d00800000e900102f0801078000\
     130980000064004f7b0820e7400101503efa584b1b3800632b010262000c3c01004e00013c0151025b5d\
     000b9f009edc043eb003736d732b9e0000800000b801040200132c0900130a0800006400010b000dc001\
     6000005a1e39bf01610b01010001620b0201001900010060000901000000046d61696c2a03736d732bfb\
     1701fb0002017302c41000030508fb57010c0c000730f1b60161c5fb63010b140192f49c731000010060\
     000000000009fb6e010b0b005f7c5dbb046d61696c06626c6f636b73fb79010d0d005afd2fa80574696d\
     6573fb860102020080b10e460773747265616d73fb88010c0c00953e496b03696473fb9401161b0176e6\
     90c00b636865636b706f696e7473fbaa010f0f007e5e3813414e5345414c4654b9010000000000005700\
     0000e3eb898f63aec7510000000029000000000000002b00000000000000070000000000000009000000\
     00000000040302013efa584b000400000000000000000000000000000000000000000000000000000000\
     000000000000000000000000000000000000000000009a42f0b3";

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
