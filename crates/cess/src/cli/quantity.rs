//! Parse and print amounts of bytes and of money.

use alloy_primitives::{
    U256,
    utils::{format_ether, parse_units},
};
use std::{fmt, str::FromStr};
use types::Profile;

/// Binary and decimal units, largest first.
const UNITS: [(&str, u64); 11] = [
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Codes by name.
const PROFILES: [Profile; 3] = [Profile::Devnet, Profile::Standard, Profile::Wide];

/// What a code is called.
pub fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Devnet => "devnet",
        Profile::Standard => "standard",
        Profile::Wide => "wide",
    }
}

/// The code of this name.
pub fn profile(text: &str) -> Result<Profile, String> {
    let found = PROFILES.into_iter().find(|profile| profile_name(*profile).eq_ignore_ascii_case(text));
    found.ok_or_else(|| "a profile is devnet, standard or wide".into())
}

/// A number of bytes, as in `10GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a size is a number with a unit: 500MB, 10GiB, 1.5TiB".to_string();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim());
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
        scale(number, *factor).filter(|&bytes| bytes > 0).map(Self).ok_or_else(wrong)
    }
}

/// A decimal number times a factor, rounded up; nothing if that is no number or too large.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let digits = u32::try_from(fraction.len()).ok().filter(|&digits| digits <= 18)?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor);
    whole.checked_add(u64::try_from(part.div_ceil(10u128.pow(digits))).ok()?)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.iter().filter(|(name, factor)| name.ends_with("iB") && self.0 >= *factor);
        match binary.max_by_key(|(_, factor)| factor) {
            Some((name, factor)) => {
                // One decimal says enough to a person; exact numbers are in the JSON.
                let tenths = u128::from(self.0) * 10 / u128::from(*factor);
                match tenths % 10 {
                    0 => write!(f, "{} {name}", tenths / 10),
                    rest => write!(f, "{}.{rest} {name}", tenths / 10),
                }
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

/// Bytes for people.
pub fn format_bytes(bytes: u64) -> String {
    Bytes(bytes).to_string()
}

/// An amount of money, as in `1.5` or `20gwei`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub U256);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "an amount is a number, in whole coins or with a unit: 1.5, 20gwei, 1000wei".to_string();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim());
        let decimals: u8 = match unit {
            "" => 18,
            "gwei" => 9,
            "wei" => 0,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // The library would cut what is smaller than a wei.
        if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
            return Err(wrong());
        }
        if fraction.trim_end_matches('0').len() > usize::from(decimals) {
            return Err(format!("{text} is no whole number of wei"));
        }
        parse_units(number, decimals).map(|amount| Self(amount.get_absolute())).map_err(|_| wrong())
    }
}

/// Money for people: whole coins, without zeros at the end.
pub fn format_amount(wei: U256) -> String {
    let coins = format_ether(wei);
    coins.trim_end_matches('0').trim_end_matches('.').to_string()
}
