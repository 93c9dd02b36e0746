//! Read and write regions as ISO 3166 has them.

use alloy_primitives::FixedBytes;
use std::{fmt, str::FromStr};

/// Every country of ISO 3166-1 alpha-2 that is officially assigned, in order.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD \
CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF \
GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN \
KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA \
NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI \
VN VU WF WS YE YT ZA ZM ZW";

/// A country (`DE`) or a subdivision of one (`DE-BE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(FixedBytes<6>);

/// A text that names no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ISO 3166 region: give a country such as DE, or a subdivision such as US-CA")]
pub struct RegionError(String);

impl Region {
    /// The code as the chain has it: ASCII, zero padded.
    pub fn code(self) -> FixedBytes<6> {
        self.0
    }
}

impl FromStr for Region {
    type Err = RegionError;

    /// Countries have to be assigned; of subdivisions only the form is checked. Case does not matter.
    fn from_str(text: &str) -> Result<Self, RegionError> {
        let wrong = || RegionError(text.into());
        let upper = text.to_ascii_uppercase();
        let (country, subdivision) = match upper.split_once('-') {
            Some((country, subdivision)) => (country, Some(subdivision)),
            None => (upper.as_str(), None),
        };
        let known = COUNTRIES.split(' ').any(|code| code == country);
        let formed = subdivision.is_none_or(|code| {
            (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        });
        if !known || !formed {
            return Err(wrong());
        }
        let mut bytes = [0; 6];
        bytes.get_mut(..upper.len()).ok_or_else(wrong)?.copy_from_slice(upper.as_bytes());
        Ok(Self(bytes.into()))
    }
}

impl From<FixedBytes<6>> for Region {
    /// What the chain has, whatever that is.
    fn from(code: FixedBytes<6>) -> Self {
        Self(code)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(self.0.as_slice()).trim_end_matches('\0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_subdivisions_are_read_and_shown() {
        for (text, shown) in [("DE", "DE"), ("de", "DE"), ("US-CA", "US-CA"), ("gb-eng", "GB-ENG"), ("FR-75", "FR-75")]
        {
            assert_eq!(text.parse::<Region>().map(|region| region.to_string()), Ok(shown.into()), "{text}");
        }
        assert_eq!("DE-BE".parse::<Region>().map(Region::code), Ok(FixedBytes(*b"DE-BE\0")));
        for text in ["", "D", "ZZ", "DEU", "EU", "DE-", "DE-BERL", "DE-b!", "UK", "Germany", "DE-BE-1", "ÄÖ"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_countries_are_listed_once_and_in_order() {
        let codes: Vec<&str> = COUNTRIES.split(' ').collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    }
}
