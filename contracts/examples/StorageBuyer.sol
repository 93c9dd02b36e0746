// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.24;

import {IBuckets, ITerritories} from "../Cess.sol";

/// A contract that owns space: it buys a territory, creates a bucket in it and remembers both.
contract StorageBuyer {
    ITerritories public constant TERRITORIES = ITerritories(0x000000000000000000000000000000000000cE01);
    IBuckets public constant BUCKETS = IBuckets(0x000000000000000000000000000000000000ce04);

    address public immutable owner;
    uint64 public territory;
    bytes32 public bucket;

    event Stored(uint64 territory, bytes32 bucket, uint256 paid);

    error NotOwner(address caller);
    error ChangedMind();

    constructor() {
        owner = msg.sender;
    }

    /// Buys `size` billed bytes for `daysCount` days and creates the bucket `tag`. Afterwards it reverts if
    /// `changeMind` says so: then there is no territory, no bucket, and the value is back.
    function buy(uint64 size, uint32 daysCount, bytes32 tag, bool changeMind)
        external
        payable
        returns (uint64 boughtTerritory, bytes32 createdBucket)
    {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        uint256 price = TERRITORIES.quote(size, daysCount);
        boughtTerritory = TERRITORIES.buy{value: msg.value}(size, daysCount);
        createdBucket = BUCKETS.create(tag, boughtTerritory, 0, 0, 0, "");
        (territory, bucket) = (boughtTerritory, createdBucket);
        emit Stored(boughtTerritory, createdBucket, price);
        if (changeMind) revert ChangedMind();
    }

    /// Tries to buy and lives on when that fails: what the failed call did is undone, and nothing else.
    function tryBuy(uint64 size, uint32 daysCount, bytes32 tag, bool changeMind) external payable returns (bool bought) {
        try this.buyForSelf{value: msg.value}(size, daysCount, tag, changeMind) {
            return true;
        } catch {
            return false;
        }
    }

    function buyForSelf(uint64 size, uint32 daysCount, bytes32 tag, bool changeMind) external payable {
        if (msg.sender != address(this)) revert NotOwner(msg.sender);
        territory = TERRITORIES.buy{value: msg.value}(size, daysCount);
        bucket = BUCKETS.create(tag, territory, 0, 0, 0, "");
        if (changeMind) revert ChangedMind();
    }

    /// Hands the territory to the owner, and what is left of the value.
    function withdraw() external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        TERRITORIES.transfer(territory, owner);
        (bool sent,) = owner.call{value: address(this).balance}("");
        require(sent);
    }
}
