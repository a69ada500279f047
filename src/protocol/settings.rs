//! What a hub allows and how it ends connections: the settings that a scenario's `[hub]` table, the
//! control API and `squall hub --config` share.
//!
//! A fact that no source confirms is a setting here, with a default named as Squall's own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CloseCode;
use super::throughput::Throughput;
use super::webhook::EventSettings;

/// A pricing tier (service-side facts, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// `Free_F1`: one unit, 20 connections.
    Free,
    /// `Standard_S1`: 1,000 connections per unit.
    Standard,
    /// `Premium_P1` and, from 200 units, `Premium_P2`: 1,000 connections per unit.
    Premium,
}

impl Tier {
    /// Connections per unit: Free 20, paid 1,000 (azure-docs
    /// `includes/azure-web-pubsub-limits.md`).
    #[must_use]
    pub const fn connections_per_unit(self) -> u32 {
        match self {
            Self::Free => 20,
            Self::Standard | Self::Premium => 1_000,
        }
    }

    /// Unit counts that can be bought, ascending (azure-docs `howto-scale-manual-scale.md`).
    #[must_use]
    pub const fn unit_steps(self) -> &'static [u32] {
        const PAID: [u32; 19] =
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        const PREMIUM: [u32; 28] = [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 200, 300, 400, 500,
            600, 700, 800, 900, 1_000,
        ];
        match self {
            Self::Free => &[1],
            Self::Standard => &PAID,
            Self::Premium => &PREMIUM,
        }
    }

    /// The smallest unit count that holds `connections`; `None` when the tier cannot.
    #[must_use]
    pub fn units_for(self, connections: u64) -> Option<u32> {
        let per_unit = u64::from(self.connections_per_unit());
        self.unit_steps().iter().copied().find(|&units| u64::from(units) * per_unit >= connections)
    }
}

/// What counts as a sign of life of a client. Which one the service uses is unconfirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LifeSign {
    /// Only a websocket pong. Squall's default.
    Pong,
    /// Any frame from the client.
    AnyFrame,
}

/// Keep-alive of the hub. A client is dropped (PingTimeout) once its last sign of life is
/// `timeout` ago; the hub looks when a ping is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Between two websocket pings. The service's `webSocketKeepAliveIntervalInSeconds`, 1 to 120
    /// s, default 20 s (documented).
    pub interval: Duration,
    /// Since the last sign of life. Unconfirmed for the service; default two intervals.
    pub timeout: Duration,
    /// What counts as life.
    pub life: LifeSign,
}

/// Bound of a connection's outbound queue; past either one it is a SlowClient. Tested after the
/// push; bytes are encoded bytes, including those the writer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLimit {
    /// Encoded bytes. 16 MiB in Microsoft's emulator, 1 MB for SignalR; unconfirmed for the
    /// service.
    pub bytes: u64,
    /// Messages. 1,000 in Microsoft's emulator; unconfirmed for the service.
    pub messages: u64,
}

/// Kernel socket buffers of accepted connections, in bytes as asked for (Linux doubles them);
/// `None` leaves the system's default, which grows to megabytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketBuffers {
    /// `SO_SNDBUF`.
    pub send: Option<u32>,
    /// `SO_RCVBUF`.
    pub receive: Option<u32>,
}

/// Limits that hold from the first byte of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubLimits {
    /// One reassembled message of a client, in bytes (1 MiB documented); past it close 1009.
    pub message_bytes: u64,
    /// Request line and headers of an HTTP request, in bytes.
    pub header_bytes: u32,
    /// From accept to the end of the request's headers.
    pub handshake: Duration,
    /// How long a close frame may wait for its echo and for a full socket before the reset.
    pub close_linger: Duration,
    /// Clock tolerance of access tokens, both ways (5 minutes in Microsoft's emulator).
    pub token_skew: Duration,
    /// Groups that one connection may be in. Microsoft states no limit; this is Squall's own, so
    /// that no client can fill the hub's memory. Settings from elsewhere may leave it out.
    #[serde(default = "groups_per_connection")]
    pub groups_per_connection: u32,
}

/// Default of [`HubLimits::groups_per_connection`], in every profile.
const fn groups_per_connection() -> u32 {
    10_000
}

/// How a drop looks on the wire. The service's own forms are unconfirmed except where a variant of
/// [`DropForms`] says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireForm {
    /// TCP reset without a close frame (a browser reports 1006).
    Abort,
    /// A close frame, then the end of the stream.
    Close {
        /// Close code.
        code: CloseCode,
        /// Close reason, at most 123 bytes of UTF-8.
        reason: String,
    },
    /// A `disconnected` system message (subprotocol clients only), then close 1000.
    DisconnectedThenClose,
}

/// What a connection past the tier's cap gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverLimit {
    /// HTTP 429 with body `Connection count reaches limit.` (the best evidence there is).
    Refuse,
    /// 101, then the TCP connection is dropped.
    AcceptThenAbort,
}

/// The wire form of each drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropForms {
    /// PingTimeout; unconfirmed, default abort.
    pub ping_timeout: WireForm,
    /// SlowClient; abort in Microsoft's emulator.
    pub slow_client: WireForm,
    /// ServiceReload; unconfirmed, default close 1001 without a reason.
    pub service_reload: WireForm,
    /// ConnectionCountLimitReached.
    pub over_limit: OverLimit,
}

/// Everything a hub can be told about how to behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubSettings {
    /// Pricing tier.
    pub tier: Tier,
    /// Units of that tier.
    pub units: u32,
    /// Websocket pings and their timeout.
    pub keep_alive: KeepAlive,
    /// Bound of each outbound queue.
    pub queue: QueueLimit,
    /// Kernel buffers.
    pub buffers: SocketBuffers,
    /// Limits from the first byte.
    pub limits: HubLimits,
    /// Wire forms.
    pub drops: DropForms,
    /// Event handlers.
    #[serde(default)]
    pub events: EventSettings,
    /// How much it can do per second; `None` is as much as the machine can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
}

impl HubSettings {
    /// Concurrent connections the tier allows.
    #[must_use]
    pub fn connection_cap(&self) -> u64 {
        u64::from(self.tier.connections_per_unit()) * u64::from(self.units)
    }

    /// Profile `ci`, the strict node of the shipped scenarios: ping 1 s, timeout 3 s, queue 64 KiB,
    /// `SO_SNDBUF` 16 KiB, Standard, one unit.
    #[must_use]
    pub fn ci() -> Self {
        Self {
            keep_alive: KeepAlive {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(3),
                life: LifeSign::Pong,
            },
            queue: QueueLimit { bytes: 64 * 1024, messages: 1_000 },
            buffers: SocketBuffers { send: Some(16 * 1024), receive: None },
            ..Self::real()
        }
    }

    /// Profile `real`: the service's timings where they are documented (ping 20 s), the best
    /// evidence elsewhere (timeout 40 s, queue 1,000 messages or 16 MiB), kernel defaults.
    #[must_use]
    pub fn real() -> Self {
        Self {
            tier: Tier::Standard,
            units: 1,
            keep_alive: KeepAlive {
                interval: Duration::from_secs(20),
                timeout: Duration::from_secs(40),
                life: LifeSign::Pong,
            },
            queue: QueueLimit { bytes: 16 * 1024 * 1024, messages: 1_000 },
            buffers: SocketBuffers::default(),
            limits: HubLimits {
                message_bytes: 1024 * 1024,
                header_bytes: 16 * 1024,
                handshake: Duration::from_secs(10),
                close_linger: Duration::from_secs(1),
                token_skew: Duration::from_secs(300),
                groups_per_connection: groups_per_connection(),
            },
            drops: DropForms {
                ping_timeout: WireForm::Abort,
                slow_client: WireForm::Abort,
                service_reload: WireForm::Close { code: 1001, reason: String::new() },
                over_limit: OverLimit::Refuse,
            },
            events: EventSettings::default(),
            throughput: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_the_smallest_step_that_fits() {
        assert_eq!(Tier::Free.units_for(20), Some(1));
        assert_eq!(Tier::Free.units_for(21), None);
        assert_eq!(Tier::Standard.units_for(1_000), Some(1));
        assert_eq!(Tier::Standard.units_for(1_001), Some(2));
        assert_eq!(Tier::Standard.units_for(10_001), Some(20));
        assert_eq!(Tier::Standard.units_for(100_001), None);
        assert_eq!(Tier::Premium.units_for(100_001), Some(200));
    }
}
