//! A link does to bytes what a socket pair does.
