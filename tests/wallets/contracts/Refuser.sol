// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

/// A contract that refuses for the reason it is given.
contract Refuser {
    uint256 public refused;

    function refuse(string calldata reason) external {
        refused += 1;
        revert(reason);
    }
}
