//! Check that pledged units are what they must be.
