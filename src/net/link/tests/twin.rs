//! The same operations on a TCP connection and on a link are seen alike.

use std::pin::Pin;
use std::task::Waker;

use proptest::prelude::*;
use tokio::io::AsyncRead as _;

use super::*;
use crate::net::testing::{local, pair_with};

/// Bytes go round in a cycle of odd length, so that a gap shows.
const CYCLE: u8 = 251;
/// Bytes that one write of a filling offers.
const FILL_BYTES: usize = 1 << 20;
/// How often a reader looks again for bytes that the kernel still moves, and how long it waits
/// before each: longer in all than the kernel waits before it asks for room again.
const PATIENCE: u32 = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Writes so many bytes, which every buffer takes.
    Write(usize),
    /// Reads at most so many bytes once.
    Read(usize),
    /// Writes until nothing more is taken.
    Fill,
    /// Reads until there is nothing more.
    Drain,
    ShutDown,
    Drop,
    Abort,
    HangUp,
}

/// What a step shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Wrote(usize),
    Read(usize),
    /// Nothing to read, or a write to a full direction.
    Nothing,
    End,
    Reset,
    BrokenPipe,
    HungUp,
    NotHungUp,
    /// Nothing that could be compared.
    Done,
}

/// How long the kernel is given after each step.
#[derive(Clone, Copy, Debug)]
enum Settling {
    /// A link needs no time.
    None,
    For(Duration),
}

/// What has passed out of one end.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    written: u64,
    read: u64,
    /// Filled, and not emptied since: how much it takes is not compared here.
    full: Option<()>,
}

/// A connection under test.
struct Twin {
    ends: [Option<Stream>; 2],
    out: [Passed; 2],
    settling: Settling,
    /// More than any step needs of the bytes that go round.
    cycle: Vec<u8>,
}

/// Where in the cycle a count of bytes stands.
fn place(count: u64) -> usize {
    usize::try_from(count % u64::from(CYCLE)).unwrap()
}

fn kind(error: &io::Error) -> Seen {
    match error.kind() {
        io::ErrorKind::WouldBlock => Seen::Nothing,
        io::ErrorKind::ConnectionReset => Seen::Reset,
        io::ErrorKind::BrokenPipe => Seen::BrokenPipe,
        other => panic!("an error of another kind: {other}"),
    }
}

impl Twin {
    fn new([near, far]: [Stream; 2], settling: Settling) -> Self {
        let cycle: Vec<u8> = (0..CYCLE).collect();
        let cycle = cycle.repeat(FILL_BYTES / cycle.len() + 2);
        Self { ends: [Some(near), Some(far)], out: Default::default(), settling, cycle }
    }

    async fn settle(&self) {
        if let Settling::For(time) = self.settling {
            tokio::time::sleep(time).await;
        }
    }

    async fn run(mut self, steps: &[(usize, Step)]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for &(end, step) in steps {
            seen.push(self.take(end, step).await);
            self.settle().await;
        }
        seen
    }

    async fn take(&mut self, end: usize, step: Step) -> Seen {
        if self.ends[end].is_none() {
            return Seen::Done;
        }
        let in_full = self.out[1 - end].full.is_some();
        match step {
            Step::Write(_) if self.out[end].full.is_some() => match self.write(end, 1) {
                Seen::Wrote(_) => Seen::Nothing,
                seen => seen,
            },
            Step::Write(count) => self.write(end, count),
            Step::Read(count) if !in_full => self.read(end, count),
            Step::Read(_) | Step::Drain => self.drain(end).await,
            Step::Fill => self.fill(end).await,
            // An end behind a full direction is under way for as long as nobody reads; what the
            // kernel does with a reset meanwhile depends on its state and is not compared.
            Step::ShutDown if self.out[end].full.is_some() => Seen::Done,
            Step::ShutDown => {
                if let Some(stream) = &mut self.ends[end] {
                    // What it answers after a reset differs and is of no use to anybody.
                    let _ = stream.shutdown().await;
                }
                Seen::Done
            }
            Step::Drop => {
                self.ends[end] = None;
                Seen::Done
            }
            Step::Abort => {
                self.ends[end].take().unwrap().abort();
                Seen::Done
            }
            Step::HangUp => {
                let mut cx = Context::from_waker(Waker::noop());
                match self.ends[end].as_mut().unwrap().poll_hung_up(&mut cx) {
                    Poll::Ready(()) => Seen::HungUp,
                    Poll::Pending => Seen::NotHungUp,
                }
            }
        }
    }

    fn write(&mut self, end: usize, count: usize) -> Seen {
        let bytes = &self.cycle[place(self.out[end].written)..][..count];
        match self.ends[end].as_mut().unwrap().write_now(&[io::IoSlice::new(bytes)]) {
            Ok(count) => {
                self.out[end].written += count as u64;
                Seen::Wrote(count)
            }
            Err(error) => kind(&error),
        }
    }

    async fn fill(&mut self, end: usize) -> Seen {
        let mut before = Seen::Done;
        loop {
            match self.write(end, FILL_BYTES) {
                Seen::Wrote(_) => before = Seen::Done,
                // The kernel may have moved on what it had taken.
                Seen::Nothing if before == Seen::Nothing => {
                    self.out[end].full = Some(());
                    return Seen::Nothing;
                }
                Seen::Nothing => before = Seen::Nothing,
                seen => return seen,
            }
            // Also so that a reset is noticed before a write is told of it.
            self.settle().await;
        }
    }

    fn read(&mut self, end: usize, count: usize) -> Seen {
        let mut bytes = vec![0; count];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        let stream = self.ends[end].as_mut().unwrap();
        match Pin::new(stream).poll_read(&mut cx, &mut buffer) {
            Poll::Pending => Seen::Nothing,
            Poll::Ready(Err(error)) => kind(&error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Seen::End,
            Poll::Ready(Ok(())) => {
                let passed = &mut self.out[1 - end];
                let (came, count) = (buffer.filled(), buffer.filled().len());
                let wanted = &self.cycle[place(passed.read)..][..count];
                assert!(came == wanted, "other bytes than written, from {passed:?}");
                passed.read += count as u64;
                Seen::Read(count)
            }
        }
    }

    /// Reads until there is nothing more, and tells what came then.
    async fn drain(&mut self, end: usize) -> Seen {
        let mut patience = PATIENCE;
        loop {
            match self.read(end, 64 * 1024) {
                Seen::Read(_) => patience = PATIENCE,
                Seen::Nothing => {
                    let passed = &mut self.out[1 - end];
                    if passed.read == passed.written {
                        // What stood behind the bytes may only come now.
                        if passed.full.take().is_some() {
                            self.settle().await;
                            continue;
                        }
                        return Seen::Nothing;
                    }
                    assert!(patience > 0, "bytes are missing: {passed:?}");
                    patience -= 1;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                seen => return seen,
            }
        }
    }
}

fn any_step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        6 => (1..1_000_usize).prop_map(Step::Write),
        6 => (1..1_500_usize).prop_map(Step::Read),
        1 => Just(Step::Fill),
        2 => Just(Step::Drain),
        2 => Just(Step::ShutDown),
        2 => Just(Step::Drop),
        1 => Just(Step::Abort),
        4 => Just(Step::HangUp),
    ];
    (0..2_usize, step)
}

/// Both worlds' views. A difference counts only if it stays when the kernel is given more time.
async fn views(buffer: Option<u32>, steps: &[(usize, Step)]) -> (Vec<Seen>, Vec<Seen>) {
    let buffers = SocketBuffers { send: buffer, receive: buffer };
    let network = Network::start();
    let ends = ideal(&network).await;
    for end in &ends {
        end.set_buffers(buffers).unwrap();
    }
    let link = Twin::new(ends, Settling::None).run(steps).await;
    let mut tcp = Vec::new();
    for time in [1, 30].map(Duration::from_millis) {
        tcp = Twin::new(pair_with(buffers).await.into(), Settling::For(time)).run(steps).await;
        if tcp == link {
            break;
        }
    }
    (link, tcp)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_link_and_a_socket_pair_are_seen_alike(
        buffer in prop_oneof![Just(None), Just(Some(16_384))],
        steps in prop::collection::vec(any_step(), 1..14),
    ) {
        let (link, tcp) = local(views(buffer, &steps));
        prop_assert_eq!(link, tcp, "link, then TCP");
    }
}
