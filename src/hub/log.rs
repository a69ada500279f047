//! The hub's side of the ledger and its resource log as streams: lines kept from the start of the
//! timeline in a bounded buffer, read by any number of HTTP answers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};

use super::runs::Reader;

/// Bytes of lines kept of each stream (about 100,000 ended connections). Past it the oldest are
/// dropped, and a reader that has not had them counts them as lost.
pub const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes handed to a reader at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// Lines since the start of the timeline.
#[derive(Debug, Default)]
pub struct LineLog {
    state: RefCell<State>,
    lost: Cell<u64>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Bytes>,
    bytes: usize,
    /// Number of the first line in `lines`, counted from the start of the timeline.
    first: u64,
    /// How often the timeline has started; readers of an older one begin anew.
    timeline: u64,
    ended: bool,
    wakers: Vec<Waker>,
}

impl LineLog {
    /// Adds a value as one line of JSON.
    pub fn push(&self, value: &impl serde::Serialize) {
        let Ok(mut line) = serde_json::to_vec(value) else { return };
        line.push(b'\n');
        let mut state = self.state.borrow_mut();
        state.bytes += line.len();
        state.lines.push_back(line.into());
        while state.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = state.lines.pop_front() else { break };
            state.bytes -= oldest.len();
            state.first += 1;
        }
        state.wake();
    }

    /// Forgets everything: a timeline starts.
    pub fn restart(&self) {
        let mut state = self.state.borrow_mut();
        state.lines.clear();
        state.bytes = 0;
        state.first = 0;
        state.timeline += 1;
        self.lost.set(0);
        state.wake();
    }

    /// No more lines will come: readers end once they have had all.
    pub fn end(&self) {
        let mut state = self.state.borrow_mut();
        state.ended = true;
        state.wake();
    }

    /// Lines that a reader missed because it was too slow.
    pub const fn lost(&self) -> u64 {
        self.lost.get()
    }
}

impl State {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

/// One reader of a [`LineLog`], as the body of an answer.
#[derive(Debug)]
pub struct LogBody {
    log: Rc<LineLog>,
    timeline: u64,
    next: u64,
    /// Told of the reader's end by its drop.
    _reader: Option<Reader>,
}

impl LogBody {
    /// A reader from the start of the timeline.
    pub fn new(log: Rc<LineLog>) -> Self {
        let timeline = log.state.borrow().timeline;
        Self { log, timeline, next: 0, _reader: None }
    }

    /// The same, for a reader whose end matters to a run.
    pub fn held_by(self, reader: Reader) -> Self {
        Self { _reader: Some(reader), ..self }
    }
}

impl Body for LogBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let mut state = this.log.state.borrow_mut();
        if this.timeline != state.timeline {
            this.timeline = state.timeline;
            this.next = 0;
        }
        if this.next < state.first {
            this.log.lost.set(this.log.lost.get() + (state.first - this.next));
            this.next = state.first;
        }
        let had = usize::try_from(this.next - state.first).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::new();
        for line in state.lines.iter().skip(had) {
            chunk.extend_from_slice(line);
            this.next += 1;
            if chunk.len() >= CHUNK_BYTES {
                break;
            }
        }
        if !chunk.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(chunk.freeze()))));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn read(body: &mut LogBody) -> Poll<Option<String>> {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(body).poll_frame(&mut cx).map(|frame| {
            frame.map(|frame| {
                let data = frame.unwrap().into_data().unwrap();
                String::from_utf8(data.to_vec()).unwrap()
            })
        })
    }

    #[test]
    fn every_reader_gets_every_line_from_the_start_and_then_the_end() {
        let log = Rc::new(LineLog::default());
        log.push(&1);
        let mut early = LogBody::new(Rc::clone(&log));
        assert_eq!(read(&mut early), Poll::Ready(Some("1\n".into())));
        assert_eq!(read(&mut early), Poll::Pending);
        log.push(&2);
        log.push(&"x");
        let mut late = LogBody::new(Rc::clone(&log));
        assert_eq!(read(&mut early), Poll::Ready(Some("2\n\"x\"\n".into())));
        log.end();
        assert_eq!(read(&mut late), Poll::Ready(Some("1\n2\n\"x\"\n".into())));
        assert_eq!(read(&mut late), Poll::Ready(None));
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn a_new_timeline_starts_every_reader_anew() {
        let log = Rc::new(LineLog::default());
        log.push(&1);
        let mut body = LogBody::new(Rc::clone(&log));
        log.restart();
        assert_eq!(read(&mut body), Poll::Pending);
        log.push(&2);
        assert_eq!(read(&mut body), Poll::Ready(Some("2\n".into())));
    }

    #[test]
    fn what_a_slow_reader_misses_is_counted() {
        let log = Rc::new(LineLog::default());
        let mut slow = LogBody::new(Rc::clone(&log));
        let line = "x".repeat(KEPT_BYTES_MAX / 4);
        (0..6).for_each(|_| log.push(&line));
        let mut lines = 0;
        while let Poll::Ready(Some(_)) = read(&mut slow) {
            lines += 1;
        }
        assert_eq!((lines, log.lost()), (3, 3));
    }
}
