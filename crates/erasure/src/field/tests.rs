use super::*;

/// Schoolbook multiplication: shifts and subtractions, no table.
fn schoolbook(a: u8, b: u8) -> u8 {
    let mut product = 0u16;
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= u16::from(a) << bit;
        }
    }
    for bit in (8..16).rev() {
        if product >> bit & 1 == 1 {
            product ^= 0x11d << (bit - 8);
        }
    }
    product as u8
}

#[test]
fn every_product_is_the_schoolbook_product() {
    for a in 0..=255 {
        for b in 0..=255 {
            assert_eq!(multiply(a, b), schoolbook(a, b), "{a}·{b}");
            assert_eq!(PRODUCTS[a as usize][b as usize], schoolbook(a, b));
        }
    }
}

#[test]
fn every_element_but_zero_has_an_inverse() {
    for a in 1..=255 {
        assert_eq!(multiply(a, invert(a)), 1);
    }
}

#[test]
fn bit_matrix_and_nibble_tables_multiply() {
    for a in 0..=255 {
        let (matrix, table) = (affine(a).to_le_bytes(), nibbles(a));
        for b in 0..=255u8 {
            let by_matrix = (0..8).fold(0, |byte, i| byte | ((matrix[7 - i] & b).count_ones() as u8 & 1) << i);
            let by_table = table[usize::from(b & 15)] ^ table[16 + usize::from(b >> 4)];
            assert_eq!((by_matrix, by_table), (multiply(a, b), multiply(a, b)));
        }
    }
}
