//! Fill pledged space with bytes that cost more to make again than to keep.
