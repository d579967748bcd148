//! The words of the PAM line, with a zero byte after each: what is wrong never lets in whom it should not.

use std::ffi::CStr;

// The module is no library for others, and shares no crate with anybody: its source is read here.
#[path = "../../../pam_iam/src/options.rs"]
#[allow(dead_code)]
mod options;

use options::{MAX_START_WAIT, Mistake, Options};

pub(crate) fn check(data: &[u8]) {
    let words: Vec<&CStr> = data
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|word| CStr::from_bytes_with_nul(word).ok())
        .collect();
    let (options, mistakes) = Options::parse(&words);
    assert!(mistakes.len() <= words.len());
    assert!(options.min_uid > 0 && options.min_uid < u32::MAX);
    assert!(options.start_wait <= MAX_START_WAIT && !options.start_wait.is_zero());
    assert!(options.token_wait.as_secs() <= 30);
    let served = mistakes.iter().any(|mistake| matches!(mistake, Mistake::Served { .. }));
    assert_eq!(options.serves_nobody, served);
    // The same words again are the same options.
    assert_eq!(Options::parse(&words).0, options);
}
