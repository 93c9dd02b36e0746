//! Count without wrapping: what overflows reverts.

use crate::Result;
use alloy_primitives::U256;
use types::abi::IModule::Overflow;

/// Arithmetic that reverts with `Overflow()` where the result does not fit.
pub trait Checked: Sized {
    /// `self + other`.
    fn plus(self, other: Self) -> Result<Self>;
    /// `self - other`.
    fn minus(self, other: Self) -> Result<Self>;
    /// `self * other`.
    fn times(self, other: Self) -> Result<Self>;
}

macro_rules! checked {
    ($($type:ty),*) => {$(
        impl Checked for $type {
            fn plus(self, other: Self) -> Result<Self> {
                Ok(self.checked_add(other).ok_or(Overflow {})?)
            }

            fn minus(self, other: Self) -> Result<Self> {
                Ok(self.checked_sub(other).ok_or(Overflow {})?)
            }

            fn times(self, other: Self) -> Result<Self> {
                Ok(self.checked_mul(other).ok_or(Overflow {})?)
            }
        }
    )*};
}

checked!(u16, u32, u64, u128, U256);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverts_instead_of_wrapping() {
        assert_eq!(3u64.plus(4), Ok(7));
        assert!(u64::MAX.plus(1).unwrap_err().is(&Overflow {}));
        assert!(0u32.minus(1).unwrap_err().is(&Overflow {}));
        assert!(U256::MAX.times(U256::from(2)).unwrap_err().is(&Overflow {}));
    }
}
