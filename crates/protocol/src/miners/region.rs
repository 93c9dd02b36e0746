//! Read region codes: ISO 3166-1 alpha-2, as in `DE`, or ISO 3166-2, as in `US-CA`.

use alloy_primitives::FixedBytes;

/// Whether this is two capital letters, perhaps with a subdivision of one to three characters; zeros after.
pub fn check_region(region: FixedBytes<6>) -> bool {
    let text = region.split(|byte| *byte == 0).next().unwrap_or_default();
    let padded = region.iter().skip(text.len()).all(|byte| *byte == 0);
    let (country, rest) = text.split_at_checked(2).unwrap_or_default();
    let subdivision = match rest.split_first() {
        None => true,
        Some((dash, code)) => {
            *dash == b'-'
                && !code.is_empty()
                && code.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
    };
    country.len() == 2 && country.iter().all(u8::is_ascii_uppercase) && subdivision && padded
}

/// The country of a region.
pub fn country(region: FixedBytes<6>) -> FixedBytes<6> {
    let [first, second, ..] = region.0;
    FixedBytes([first, second, 0, 0, 0, 0])
}

/// Whether `outer` is `inner`, or its country.
pub fn covers(outer: FixedBytes<6>, inner: FixedBytes<6>) -> bool {
    outer == inner || outer == country(inner)
}

/// The code as a number, for keys.
pub fn number(region: FixedBytes<6>) -> u64 {
    region.iter().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
}
