//! Incremental reading of frames out of a shared scratch buffer.
//!
//! The buffer for reading belongs to the thread, not to the connection: a connection keeps bytes of
//! its own only while a frame or a fragmented message is incomplete.

use bytes::Bytes;

pub use super::frame::FrameError;
use super::frame::{CloseFrame, FrameHeader, Opcode, apply_mask};

/// Which end reads: a server demands masked frames, a client unmasked ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The hub.
    Server,
    /// The client.
    Client,
}

/// One whole message or control frame, borrowed from the scratch buffer or from the reader.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadEvent<'a> {
    /// A whole text message (valid UTF-8).
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// Ping with its payload.
    Ping(&'a [u8]),
    /// Pong with its payload.
    Pong(&'a [u8]),
    /// Close.
    Close(CloseFrame),
}

/// Whether to go on with the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Keep the rest.
    Stop,
}

/// Kind of a fragmented message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// Reads the frames of one direction of one connection. After an error it is of no further use.
///
/// What comes behind a close frame is read like anything else: whoever takes the close stops.
#[derive(Debug)]
pub struct FrameReader {
    role: Role,
    message_bytes_max: u64,
    /// Raw bytes from `partial_start` on: an incomplete frame, or whole ones after [`Next::Stop`].
    partial: Vec<u8>,
    partial_start: usize,
    /// Unmasked fragments of the message under way.
    message: Vec<u8>,
    message_kind: Option<Kind>,
}

impl FrameReader {
    /// A reader; `message_bytes_max` bounds a reassembled message.
    #[must_use]
    pub const fn new(role: Role, message_bytes_max: u64) -> Self {
        Self {
            role,
            message_bytes_max,
            partial: Vec::new(),
            partial_start: 0,
            message: Vec::new(),
            message_kind: None,
        }
    }

    /// Bytes that came with the handshake's answer: kept, and read before anything else by the next
    /// [`FrameReader::read`].
    pub fn feed_leftover(&mut self, bytes: &Bytes) {
        self.keep(bytes);
    }

    /// Takes freshly read bytes (unmasking in place) and calls `each` for every whole message or
    /// control frame, in order, until it answers [`Next::Stop`] (the rest is kept for the next
    /// call). An empty `fresh` goes on with what was kept.
    pub fn read(
        &mut self,
        fresh: &mut [u8],
        mut each: impl FnMut(ReadEvent<'_>) -> Next,
    ) -> Result<(), FrameError> {
        let mut fresh = fresh;
        while self.partial_start < self.partial.len() {
            if self.read_kept(&mut each)? == Next::Stop {
                self.keep(fresh);
                return Ok(());
            }
            if self.partial.is_empty() {
                break;
            }
            let missing = missing_bytes(&self.partial[self.partial_start..])?.min(fresh.len());
            if missing == 0 {
                return Ok(());
            }
            let (wanted, rest) = fresh.split_at_mut(missing);
            self.keep(wanted);
            fresh = rest;
        }
        let (used, _) = self.walk(fresh, &mut each)?;
        self.keep(&fresh[used..]);
        Ok(())
    }

    /// Bytes kept because a frame or message is incomplete (or reading was stopped).
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.partial.len() - self.partial_start + self.message.len()
    }

    /// Reads the whole frames among the kept bytes; frees the buffer once nothing is left in it.
    fn read_kept(
        &mut self,
        each: &mut impl FnMut(ReadEvent<'_>) -> Next,
    ) -> Result<Next, FrameError> {
        let mut kept = std::mem::take(&mut self.partial);
        let (used, next) = self.walk(&mut kept[self.partial_start..], each)?;
        self.partial_start += used;
        if self.partial_start == kept.len() {
            self.partial_start = 0;
        } else {
            self.partial = kept;
        }
        Ok(next)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.partial_start > 0 {
            self.partial.drain(..self.partial_start);
            self.partial_start = 0;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Hands out the whole frames at the start of `bytes`; answers how many bytes they took.
    fn walk(
        &mut self,
        bytes: &mut [u8],
        each: &mut impl FnMut(ReadEvent<'_>) -> Next,
    ) -> Result<(usize, Next), FrameError> {
        let mut used = 0;
        while let Some((header, header_bytes)) = FrameHeader::parse(&bytes[used..])? {
            self.check(&header)?;
            let start = used + header_bytes;
            let Some(payload) = usize::try_from(header.length)
                .ok()
                .and_then(|length| bytes.get_mut(start..)?.get_mut(..length))
            else {
                break;
            };
            used = start + payload.len();
            if let Some(mask) = header.mask {
                apply_mask(payload, mask);
            }
            if self.take(header, payload, each)? == Next::Stop {
                return Ok((used, Next::Stop));
            }
        }
        Ok((used, Next::Continue))
    }

    /// What a header must not say, given the role and the message under way.
    fn check(&self, header: &FrameHeader) -> Result<(), FrameError> {
        match (self.role, header.mask) {
            (Role::Server, None) => {
                return Err(FrameError::Protocol("a client's frame is not masked"));
            }
            (Role::Client, Some(_)) => {
                return Err(FrameError::Protocol("a server's frame is masked"));
            }
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        match (header.opcode, self.message_kind) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => {
                return Err(FrameError::Protocol("a continuation of nothing"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(FrameError::Protocol("a new message inside a fragmented one"));
            }
            (Opcode::Continuation, Some(_)) | (Opcode::Text | Opcode::Binary, None) => {}
        }
        if header.length.saturating_add(self.message.len() as u64) > self.message_bytes_max {
            return Err(FrameError::TooLarge { limit: self.message_bytes_max });
        }
        Ok(())
    }

    /// One whole frame, unmasked and checked.
    fn take(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        each: &mut impl FnMut(ReadEvent<'_>) -> Next,
    ) -> Result<Next, FrameError> {
        let kind = match header.opcode {
            Opcode::Ping => return Ok(each(ReadEvent::Ping(payload))),
            Opcode::Pong => return Ok(each(ReadEvent::Pong(payload))),
            Opcode::Close => return Ok(each(ReadEvent::Close(CloseFrame::parse(payload)?))),
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            Opcode::Continuation => self.message_kind.take().unwrap_or(Kind::Binary),
        };
        if header.fin && self.message.is_empty() {
            return deliver(kind, payload, each);
        }
        self.message.extend_from_slice(payload);
        if !header.fin {
            self.message_kind = Some(kind);
            return Ok(Next::Continue);
        }
        let message = std::mem::take(&mut self.message);
        deliver(kind, &message, each)
    }
}

fn deliver(
    kind: Kind,
    message: &[u8],
    each: &mut impl FnMut(ReadEvent<'_>) -> Next,
) -> Result<Next, FrameError> {
    Ok(each(match kind {
        Kind::Text => ReadEvent::Text(str::from_utf8(message).map_err(|_| FrameError::Utf8)?),
        Kind::Binary => ReadEvent::Binary(message),
    }))
}

/// Bytes that the incomplete frame at the start of `bytes` still lacks, at least 1: one by one
/// while the header is incomplete, then up to the end of the frame.
fn missing_bytes(bytes: &[u8]) -> Result<usize, FrameError> {
    Ok(match FrameHeader::parse(bytes)? {
        None => 1,
        Some((header, header_bytes)) => {
            let whole = header.length.saturating_add(header_bytes as u64);
            usize::try_from(whole).unwrap_or(usize::MAX).saturating_sub(bytes.len()).max(1)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use tokio_tungstenite::tungstenite::protocol::frame::{self as other, FrameSocket, coding};

    use super::super::frame::{client_frame, close_payload, server_frame};
    use super::*;

    const LIMIT: u64 = 1 << 20;

    /// An event that owns its bytes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Seen {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong(Vec<u8>),
        Close(CloseFrame),
    }

    impl Seen {
        fn of(event: ReadEvent<'_>) -> Self {
            match event {
                ReadEvent::Text(text) => Self::Text(text.to_owned()),
                ReadEvent::Binary(bytes) => Self::Binary(bytes.to_vec()),
                ReadEvent::Ping(bytes) => Self::Ping(bytes.to_vec()),
                ReadEvent::Pong(bytes) => Self::Pong(bytes.to_vec()),
                ReadEvent::Close(close) => Self::Close(close),
            }
        }

        fn opcode_and_payload(&self) -> (Opcode, Vec<u8>) {
            match self {
                Self::Text(text) => (Opcode::Text, text.clone().into_bytes()),
                Self::Binary(bytes) => (Opcode::Binary, bytes.clone()),
                Self::Ping(bytes) => (Opcode::Ping, bytes.clone()),
                Self::Pong(bytes) => (Opcode::Pong, bytes.clone()),
                Self::Close(close) => (Opcode::Close, close_payload(close.code, &close.reason)),
            }
        }
    }

    fn push_frame(out: &mut Vec<u8>, fin: bool, opcode: Opcode, mask: Option<[u8; 4]>, raw: &[u8]) {
        FrameHeader { fin, opcode, mask, length: raw.len() as u64 }.write(out);
        let start = out.len();
        out.extend_from_slice(raw);
        if let Some(mask) = mask {
            apply_mask(&mut out[start..], mask);
        }
    }

    fn any_event() -> impl Strategy<Value = Seen> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        let control = || prop::collection::vec(any::<u8>(), 0..=125);
        prop_oneof![
            4 => "\\PC{0,100}".prop_map(Seen::Text),
            2 => bytes().prop_map(Seen::Binary),
            1 => prop::collection::vec(any::<u8>(), 60_000..70_000).prop_map(Seen::Binary),
            1 => control().prop_map(Seen::Ping),
            1 => control().prop_map(Seen::Pong),
            1 => (any::<u16>(), "[a-z é]{0,60}")
                .prop_map(|(code, reason)| Seen::Close(CloseFrame { code: Some(code), reason })),
        ]
    }

    /// A message, the points where it is fragmented, and whether a ping stands between fragments.
    type Piece = (Seen, Vec<Index>, bool);

    /// The bytes of some pieces, and the events that reading them must give.
    fn encode(role: Role, mask: [u8; 4], pieces: &[Piece]) -> (Vec<u8>, Vec<Seen>) {
        let mask = (role == Role::Server).then_some(mask);
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        for (event, cuts, pinged) in pieces {
            let (mut opcode, payload) = event.opcode_and_payload();
            let mut at = 0;
            if !opcode.is_control() {
                let mut cuts: Vec<_> =
                    cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
                cuts.sort_unstable();
                for cut in cuts {
                    push_frame(&mut bytes, false, opcode, mask, &payload[at..cut]);
                    opcode = Opcode::Continuation;
                    at = cut;
                    if *pinged {
                        push_frame(&mut bytes, true, Opcode::Ping, mask, b"between");
                        events.push(Seen::Ping(b"between".to_vec()));
                    }
                }
            }
            push_frame(&mut bytes, true, opcode, mask, &payload[at..]);
            events.push(event.clone());
        }
        (bytes, events)
    }

    /// How `each` answers: always goes on, or stops after every event and is called again.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Appetite {
        All,
        OneAtATime,
    }

    fn read_all(reader: &mut FrameReader, chunk: &mut [u8], appetite: Appetite) -> Vec<Seen> {
        let mut seen = Vec::new();
        let next = if appetite == Appetite::All { Next::Continue } else { Next::Stop };
        let mut before = usize::MAX;
        let mut chunk = chunk;
        while seen.len() != before {
            before = seen.len();
            reader
                .read(chunk, |event| {
                    seen.push(Seen::of(event));
                    next
                })
                .unwrap();
            chunk = &mut [];
        }
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn any_fragments_and_any_chunks_read_back(
            role in prop_oneof![Just(Role::Server), Just(Role::Client)],
            mask: [u8; 4],
            pieces in prop::collection::vec(
                (any_event(), prop::collection::vec(any::<Index>(), 0..4), any::<bool>()),
                0..8,
            ),
            cuts in prop::collection::vec(any::<Index>(), 0..12),
            leftover in any::<Index>(),
            appetite in prop_oneof![Just(Appetite::All), Just(Appetite::OneAtATime)],
        ) {
            let (mut bytes, wanted) = encode(role, mask, &pieces);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let mut reader = FrameReader::new(role, LIMIT);
            let mut at = leftover.index(cuts[0] + 1);
            reader.feed_leftover(&Bytes::copy_from_slice(&bytes[..at]));
            let mut seen = Vec::new();
            for cut in cuts {
                seen.extend(read_all(&mut reader, &mut bytes[at..cut], appetite));
                at = cut;
            }
            prop_assert_eq!(seen, wanted);
            prop_assert_eq!(reader.kept_bytes(), 0);
            prop_assert_eq!(reader.partial.capacity() + reader.message.capacity(), 0);
        }

        #[test]
        fn no_bytes_break_the_reader(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        ) {
            let mut reader = FrameReader::new(role, 64);
            for mut chunk in chunks {
                if reader.read(&mut chunk, |_| Next::Continue).is_err() {
                    break;
                }
            }
        }

        #[test]
        fn tungstenite_reads_what_we_print(event in any_event(), mask: [u8; 4]) {
            let (opcode, payload) = event.opcode_and_payload();
            let mut masked = Vec::new();
            client_frame(opcode, &payload, mask, &mut masked);
            let plain = server_frame(opcode, &payload).to_vec();
            for (bytes, key) in [(masked, Some(mask)), (plain, None)] {
                let mut socket = FrameSocket::new(std::io::Cursor::new(bytes));
                let frame = socket.read(None).unwrap().unwrap();
                prop_assert_eq!(u8::from(frame.header().opcode), opcode.bits());
                prop_assert_eq!(frame.header().mask, key);
                let mut theirs = frame.into_payload().to_vec();
                if let Some(key) = key {
                    apply_mask(&mut theirs, key);
                }
                prop_assert_eq!(&theirs, &payload);
            }
        }

        #[test]
        fn we_read_what_tungstenite_prints(payloads in prop::collection::vec("\\PC{0,90}", 1..5)) {
            let mut socket = FrameSocket::new(std::io::Cursor::new(Vec::new()));
            for payload in &payloads {
                let opcode = coding::OpCode::Data(coding::Data::Text);
                socket.send(other::Frame::message(payload.clone(), opcode, true)).unwrap();
            }
            let (printed, _) = socket.into_inner();
            let mut bytes = printed.into_inner();
            let mut reader = FrameReader::new(Role::Client, LIMIT);
            let seen = read_all(&mut reader, &mut bytes, Appetite::All);
            prop_assert_eq!(seen, payloads.into_iter().map(Seen::Text).collect::<Vec<_>>());
        }
    }

    fn error_of(role: Role, limit: u64, bytes: &[u8]) -> Option<FrameError> {
        let whole =
            FrameReader::new(role, limit).read(&mut bytes.to_vec(), |_| Next::Continue).err();
        let mut reader = FrameReader::new(role, limit);
        let bytewise =
            bytes.iter().find_map(|&byte| reader.read(&mut [byte], |_| Next::Continue).err());
        assert_eq!(whole, bytewise, "bytes at once and one by one");
        whole
    }

    #[test]
    fn broken_framing_is_named() {
        let key = Some([1, 2, 3, 4]);
        type Frames<'a> = &'a [(bool, Opcode, Option<[u8; 4]>, &'a [u8])];
        let cases: [(Role, Frames<'_>, FrameError); 8] = [
            (
                Role::Server,
                &[(true, Opcode::Text, None, b"x")],
                FrameError::Protocol("a client's frame is not masked"),
            ),
            (
                Role::Client,
                &[(true, Opcode::Text, key, b"x")],
                FrameError::Protocol("a server's frame is masked"),
            ),
            (
                Role::Client,
                &[(true, Opcode::Continuation, None, b"x")],
                FrameError::Protocol("a continuation of nothing"),
            ),
            (
                Role::Client,
                &[(false, Opcode::Text, None, b"x"), (true, Opcode::Binary, None, b"y")],
                FrameError::Protocol("a new message inside a fragmented one"),
            ),
            (
                Role::Client,
                &[(true, Opcode::Close, None, &[3])],
                FrameError::Protocol("a close frame holds half a code"),
            ),
            (Role::Client, &[(true, Opcode::Close, None, &[3, 232, 0xC3])], FrameError::Utf8),
            (Role::Server, &[(true, Opcode::Text, key, &[0xC3])], FrameError::Utf8),
            (
                Role::Server,
                &[(false, Opcode::Text, key, &[0xC3]), (true, Opcode::Continuation, key, &[0x28])],
                FrameError::Utf8,
            ),
        ];
        for (role, frames, wanted) in cases {
            let mut bytes = Vec::new();
            for (fin, opcode, mask, payload) in frames {
                push_frame(&mut bytes, *fin, *opcode, *mask, payload);
            }
            assert_eq!(error_of(role, LIMIT, &bytes), Some(wanted), "{frames:?}");
        }
    }

    #[test]
    fn a_character_may_be_split_between_fragments() {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, false, Opcode::Text, None, &[0xC3]);
        push_frame(&mut bytes, true, Opcode::Continuation, None, &[0xA9]);
        assert_eq!(error_of(Role::Client, LIMIT, &bytes), None);
    }

    #[test]
    fn limits_are_raised_from_the_header_and_count_the_whole_message() {
        let mut header = Vec::new();
        let head = FrameHeader { fin: true, opcode: Opcode::Binary, mask: None, length: 101 };
        head.write(&mut header);
        assert_eq!(error_of(Role::Client, 100, &header), Some(FrameError::TooLarge { limit: 100 }));

        let mut fragments = Vec::new();
        push_frame(&mut fragments, false, Opcode::Binary, None, &[0; 60]);
        push_frame(&mut fragments, true, Opcode::Continuation, None, &[0; 40]);
        assert_eq!(error_of(Role::Client, 100, &fragments), None);
        assert_eq!(
            error_of(Role::Client, 99, &fragments),
            Some(FrameError::TooLarge { limit: 99 })
        );

        let mut huge = Vec::new();
        FrameHeader { length: i64::MAX.unsigned_abs(), ..head }.write(&mut huge);
        let error = FrameError::TooLarge { limit: u64::MAX - 1 };
        assert_eq!(error_of(Role::Client, u64::MAX - 1, &huge), None);
        assert_eq!(error.close_code(), 1009);
    }

    #[test]
    fn what_is_kept_is_counted() {
        let mut reader = FrameReader::new(Role::Client, LIMIT);
        let mut bytes = server_frame(Opcode::Text, b"hello").to_vec();
        bytes.extend_from_slice(&server_frame(Opcode::Text, b"again"));
        reader.read(&mut bytes, |_| Next::Stop).unwrap();
        assert_eq!(reader.kept_bytes(), 7);
        reader.read(&mut [0x01, 0x02, b'p'], |_| Next::Stop).unwrap();
        assert_eq!(reader.kept_bytes(), 3);
        reader.read(&mut [b'q'], |_| Next::Continue).unwrap();
        assert_eq!(reader.kept_bytes(), 2, "a fragment without its header");
    }
}
