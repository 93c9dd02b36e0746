//! Keep blocks, receipts and logs where they can be found.
