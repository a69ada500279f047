//! The grammar of `[hub]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::at::At;
use super::super::units::{Buffer, Count, Lasting, Size, Units};
use crate::protocol::settings::{LifeSign, OverLimit, Tier};

/// What the hub allows. On a real resource these are assumptions, not settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct HubFile {
    /// Where the other keys start from: `ci` is strict and quick, `real` has the service's timings.
    pub profile: Option<At<Profile>>,
    /// Pricing tier.
    pub tier: Option<At<Tier>>,
    /// Units of the tier, or `auto`: the fewest that hold every client. Default `auto`.
    pub units: Option<At<Units>>,
    /// Websocket pings of the hub.
    pub keep_alive: Option<At<KeepAliveFile>>,
    /// Bound of each connection's outbound queue.
    pub queue: Option<At<QueueFile>>,
    /// Kernel buffers of accepted sockets.
    pub buffers: Option<At<BuffersFile>>,
    /// Limits from the first byte of a connection.
    pub limits: Option<At<LimitsFile>>,
    /// How each drop looks on the wire.
    pub drops: Option<At<DropsFile>>,
}

/// A set of hub settings to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::scenario) enum Profile {
    /// Ping 1 s, timeout 3 s, queue 64 KiB, small kernel buffers.
    Ci,
    /// The service's timings: ping 20 s, timeout 40 s, queue 1,000 messages or 16 MiB.
    #[default]
    Real,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ci, Self::Real];

    /// Its name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Real => "real",
        }
    }
}

/// Keep-alive of the hub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct KeepAliveFile {
    /// Between two websocket pings.
    pub interval: Option<At<Lasting>>,
    /// A client is dropped once its last sign of life is this long ago.
    pub timeout: Option<At<Lasting>>,
    /// What counts as a sign of life.
    pub life: Option<At<LifeSign>>,
}

/// Bound of a connection's outbound queue; past either one it is a SlowClient.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct QueueFile {
    /// Encoded bytes, those being written included.
    pub bytes: Option<At<Size>>,
    /// Messages.
    pub messages: Option<At<Count>>,
}

/// Kernel buffers of accepted sockets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct BuffersFile {
    /// `SO_SNDBUF`, or `system`.
    pub send: Option<At<Buffer>>,
    /// `SO_RCVBUF`, or `system`.
    pub receive: Option<At<Buffer>>,
}

/// Limits from the first byte of a connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct LimitsFile {
    /// One reassembled message of a client.
    pub message: Option<At<Size>>,
    /// Request line and headers of an HTTP request.
    pub header: Option<At<Size>>,
    /// From accept to the end of the request's headers.
    pub handshake: Option<At<Lasting>>,
    /// How long a close frame may wait for its echo.
    pub close_linger: Option<At<Lasting>>,
    /// Clock tolerance of access tokens.
    pub token_skew: Option<At<Lasting>>,
}

/// How each drop looks on the wire.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct DropsFile {
    /// PingTimeout.
    pub ping_timeout: Option<At<WireFormFile>>,
    /// SlowClient.
    pub slow_client: Option<At<WireFormFile>>,
    /// ServiceReload.
    pub service_reload: Option<At<WireFormFile>>,
    /// ConnectionCountLimitReached.
    pub over_limit: Option<At<OverLimit>>,
}

/// How a drop looks on the wire.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum WireFormFile {
    /// TCP reset without a close frame.
    Abort,
    /// A close frame, then the end of the stream.
    Close(Box<At<CloseFrameFile>>),
    /// A `disconnected` system message (JSON clients), then close 1000.
    DisconnectedThenClose,
}

/// A close frame.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct CloseFrameFile {
    /// Close code, 1000 to 4999.
    pub code: At<Count>,
    /// Close reason, at most 123 bytes.
    pub reason: Option<At<String>>,
}
