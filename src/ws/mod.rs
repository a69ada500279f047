//! Websocket frames (RFC 6455) over a byte stream with full control: nothing is answered, closed or
//! replaced by itself. Who pongs and who closes is decided above.

pub mod frame;
pub mod handshake;
pub mod reader;

pub use frame::{CloseFrame, FrameError, FrameHeader, Opcode};
pub use reader::{FrameReader, Next, ReadEvent, Role};
