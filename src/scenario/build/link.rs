//! What lies between a population and the hub: the buffers of its end, and shaping.

use super::super::file::{PopulationFile, ShapingFile};
use super::super::plan::Shaping;
use super::super::units::{ByteRate, Size};
use super::{At, Context};
use crate::protocol::settings::SocketBuffers;

/// The buffers of a population's end of the connection.
pub(super) fn buffers(context: &Context<'_>, file: &PopulationFile) -> SocketBuffers {
    let bytes = |at: Option<&At<Size>>| {
        let at = at?;
        let &Size(bytes) = at.get()?;
        context.buffer(bytes, at.place, &at.path)
    };
    SocketBuffers {
        send: bytes(file.send_buffer.as_ref()),
        receive: bytes(file.receive_buffer.as_ref()),
    }
}

/// What is done to the bytes on their way.
pub(super) fn shaping(context: &Context<'_>, at: Option<&At<ShapingFile>>) -> Shaping {
    let Some(file) = at.and_then(At::get) else { return Shaping::default() };
    let positive = |at: Option<&At<_>>| at.and_then(|at| context.positive(at));
    Shaping {
        delay: positive(file.delay.as_ref()).unwrap_or_default(),
        jitter: positive(file.jitter.as_ref()).unwrap_or_default(),
        bandwidth: file.bandwidth.as_ref().and_then(|at| {
            let &ByteRate(rate) = at.get()?;
            context.positive_rate(rate, at.place, &at.path)
        }),
        idle_cut: positive(file.idle_cut.as_ref()),
    }
}
