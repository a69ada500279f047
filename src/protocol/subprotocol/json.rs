//! What reading and printing of both directions share: fields of one JSON object, payloads, text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Payload;

/// The fields of a frame, unread: a field is looked at only by the frames it belongs to, so that
/// unknown fields are ignored whatever they hold. A `null` is [`Option::Some`] here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "present")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    group: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    event: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    ack_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    sequence_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    no_echo: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    from_user_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    connection_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    success: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error>
where
    D: Deserializer<'de>,
{
    <&'a RawValue>::deserialize(deserializer).map(Some)
}

/// Names of [`Fields`], for reading and for messages.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Type,
    Group,
    Event,
    From,
    AckId,
    SequenceId,
    NoEcho,
    DataType,
    Data,
    UserId,
    FromUserId,
    ConnectionId,
    Message,
    Success,
    Error,
    Name,
}

impl Field {
    const fn wire_name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Group => "group",
            Self::Event => "event",
            Self::From => "from",
            Self::AckId => "ackId",
            Self::SequenceId => "sequenceId",
            Self::NoEcho => "noEcho",
            Self::DataType => "dataType",
            Self::Data => "data",
            Self::UserId => "userId",
            Self::FromUserId => "fromUserId",
            Self::ConnectionId => "connectionId",
            Self::Message => "message",
            Self::Success => "success",
            Self::Error => "error",
            Self::Name => "name",
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads one JSON object.
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        // serde would take an array for a struct as well.
        if !text.trim_ascii_start().starts_with('{') {
            return Err("not a JSON object".to_owned());
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The value as it stands; `null` and absence are the same.
    fn raw(&self, field: Field) -> Option<&'a RawValue> {
        self.even_null(field).filter(|raw| raw.get() != "null")
    }

    fn even_null(&self, field: Field) -> Option<&'a RawValue> {
        match field {
            Field::Type => self.kind,
            Field::Group => self.group,
            Field::Event => self.event,
            Field::From => self.from,
            Field::AckId => self.ack_id,
            Field::SequenceId => self.sequence_id,
            Field::NoEcho => self.no_echo,
            Field::DataType => self.data_type,
            Field::Data => self.data,
            Field::UserId => self.user_id,
            Field::FromUserId => self.from_user_id,
            Field::ConnectionId => self.connection_id,
            Field::Message => self.message,
            Field::Success => self.success,
            Field::Error => self.error,
            Field::Name => self.name,
        }
    }

    /// An optional field of a kind; `Err` when it is of another.
    pub(super) fn optional<T: Deserialize<'a>>(&self, field: Field) -> Result<Option<T>, String> {
        let Some(raw) = self.raw(field) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("field `{}` is of the wrong kind", field.wire_name())),
        }
    }

    /// A field that must be there.
    pub(super) fn required<T: Deserialize<'a>>(&self, field: Field) -> Result<T, String> {
        self.optional(field)?.ok_or_else(|| format!("field `{}` is missing", field.wire_name()))
    }

    /// A nested object; `None` when absent.
    pub(super) fn object(&self, field: Field) -> Result<Option<Fields<'a>>, String> {
        self.raw(field).map(|raw| Fields::of(raw.get())).transpose()
    }

    /// `dataType` and `data` of a client's frame: `json` when no type is given, never `null`.
    pub(super) fn client_payload(&self) -> Result<Payload, String> {
        let kind: Option<String> = self.optional(Field::DataType)?;
        let raw = self.raw(Field::Data).ok_or("field `data` is missing")?;
        let kind = kind.as_deref().unwrap_or("json");
        payload(kind, raw)?.ok_or_else(|| format!("no such dataType: {kind:.40}"))
    }

    /// `dataType` and `data` of a message to a client; `None` for a kind Squall does not know and
    /// for a message without data. JSON may be `null`.
    pub(super) fn server_payload(&self) -> Result<Option<Payload>, String> {
        let kind: Option<String> = self.optional(Field::DataType)?;
        match (kind, self.even_null(Field::Data)) {
            (Some(kind), Some(raw)) => payload(&kind, raw),
            _ => Ok(None),
        }
    }
}

/// Reads `data` by its kind; `None` when there is no such kind.
fn payload(kind: &str, raw: &RawValue) -> Result<Option<Payload>, String> {
    let text = || {
        serde_json::from_str::<String>(raw.get())
            .map_err(|_| format!("data of dataType {kind} must be a string"))
    };
    Ok(Some(match kind {
        "text" => Payload::Text(text()?),
        "binary" => {
            Payload::Binary(STANDARD.decode(text()?).map_err(|_| "binary data is not base64")?)
        }
        "json" => Payload::Json(raw.get().to_owned()),
        _ => return Ok(None),
    }))
}

/// Appends `"dataType":…,"data":…`.
pub(super) fn push_payload(out: &mut String, payload: &Payload) {
    match payload {
        Payload::Text(text) => {
            out.push_str(r#""dataType":"text","data":"#);
            push_string(out, text);
        }
        Payload::Json(json) => {
            out.push_str(r#""dataType":"json","data":"#);
            out.push_str(json);
        }
        Payload::Binary(bytes) => {
            out.push_str(r#""dataType":"binary","data":""#);
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
    }
}

/// Appends a JSON string as `JSON.stringify` prints it.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        if short.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(short);
        }
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}
