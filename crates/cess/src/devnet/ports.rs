//! Choose free ports for a network that keeps them.

use anyhow::{Result, bail};
use rand::Rng;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Below the range from which Linux gives ports to outgoing connections: nobody takes ours while we are stopped.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
const ATTEMPTS: u32 = 100;

/// The first of `count` neighbouring ports that nobody uses now, for TCP or UDP.
pub fn free_block(count: u16) -> Result<u16> {
    let mut rng = rand::rng();
    for _ in 0..ATTEMPTS {
        // Blocks begin at multiples of their size, so that two networks that start together overlap wholly or not.
        let size = count.next_power_of_two();
        let first = rng.random_range(FIRST / size + 1..LAST / size) * size;
        if (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    bail!("there are no {count} free ports in a row between {FIRST} and {LAST}: stop other programs")
}

/// Whether nobody listens on this port of the loopback interface.
pub fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_free_and_a_used_port_is_not() {
        let first = free_block(28).unwrap();
        let _used = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 3)).unwrap();
        assert!(!is_free(first + 3));
        assert!(first >= FIRST && first + 28 <= LAST);
    }
}
