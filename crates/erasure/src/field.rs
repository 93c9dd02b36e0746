//! Calculate in GF(2^8), the field of bytes modulo x^8 + x^4 + x^3 + x^2 + 1 (`0x11d`).

/// The reduction polynomial without its leading term.
const POLYNOMIAL: u8 = 0x1d;

const TABLES: ([u8; 510], [u8; 256]) = tables();
/// `EXP[i]` is 2^i; twice the group's order long, so that a sum of two logarithms needs no reduction.
const EXP: [u8; 510] = TABLES.0;
/// `LOG[a]` is the exponent of 2 that gives `a`; the entry of zero is never read.
const LOG: [u8; 256] = TABLES.1;

/// `PRODUCTS[a][b]` is a·b.
pub(crate) static PRODUCTS: [[u8; 256]; 256] = products();

/// Product of two field elements.
pub(crate) const fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    EXP[LOG[a as usize] as usize + LOG[b as usize] as usize]
}

/// The element that gives one when multiplied with `a`; `a` is not zero.
pub(crate) const fn invert(a: u8) -> u8 {
    assert!(a != 0, "zero has no inverse");
    EXP[255 - LOG[a as usize] as usize]
}

/// Double an element: a shift, and the polynomial where the shift overflows.
const fn double(a: u8) -> u8 {
    let overflow = a >> 7;
    (a << 1) ^ (overflow * POLYNOMIAL)
}

const fn tables() -> ([u8; 510], [u8; 256]) {
    let (mut exp, mut log) = ([0; 510], [0; 256]);
    let mut power = 1;
    let mut i = 0;
    while i < 255 {
        exp[i] = power;
        exp[i + 255] = power;
        log[power as usize] = i as u8;
        power = double(power);
        i += 1;
    }
    (exp, log)
}

const fn products() -> [[u8; 256]; 256] {
    let mut all = [[0; 256]; 256];
    let mut a = 0;
    while a < 256 {
        let mut b = 0;
        while b < 256 {
            all[a][b] = multiply(a as u8, b as u8);
            b += 1;
        }
        a += 1;
    }
    all
}

/// Multiplication by `a` as the 8 × 8 bit matrix that `GF2P8AFFINEQB` takes.
///
/// The instruction's own multiplication (`GF2P8MULB`) is bound to AES's polynomial `0x11b`; the affine one takes any
/// linear map. Result bit `i` is the parity of matrix byte `7 - i` and the operand (Intel SDM, volume 2).
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) const fn affine(a: u8) -> u64 {
    let mut matrix = 0;
    let mut column = 0;
    let mut image = a;
    while column < 8 {
        let mut bit = 0;
        while bit < 8 {
            let set = (image >> bit & 1) as u64;
            matrix |= set << (8 * (7 - bit) + column);
            bit += 1;
        }
        image = double(image);
        column += 1;
    }
    matrix
}

/// Multiplication by `a` as two 16-entry tables, for the low and for the high half of a byte.
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
pub(crate) const fn nibbles(a: u8) -> [u8; 32] {
    let mut table = [0; 32];
    let mut i = 0;
    while i < 16 {
        table[i] = multiply(a, i as u8);
        table[16 + i] = multiply(a, (i as u8) << 4);
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests;
