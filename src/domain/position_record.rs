//! The stored form of positions: JSON with a format number.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::position::{Position, Progress, Stage, Step};
use super::position_v1;

/// The format number of the positions that this program writes, and the newest that it reads.
const FORMAT: u32 = 2;

/// The form of a [`Position`] in the queue: JSON with a format number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    step: Step,
    progress: Progress,
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position { step, progress } = self.clone();
        Record { format: FORMAT, step, progress }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Position {
    /// Reads a position of the current format or of version 0.1.0; rejects a newer format.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Position, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let Some(format) = value.get("format") else {
            return position_v1::read(value).map_err(de::Error::custom);
        };
        if format.as_u64() != Some(u64::from(FORMAT)) {
            return Err(de::Error::custom(format!(
                "its format is {format}, but this version of boi reads only formats up to {FORMAT}"
            )));
        }
        let Record { step, progress, .. } = serde_json::from_value(value).map_err(de::Error::custom)?;
        Ok(Position { step, progress })
    }
}

/// Reads the stage that the queue stores with each command, in the current format or in that of version
/// 0.1.0. The error says why the stage cannot be read.
pub(crate) fn read_stage(text: &str) -> Result<Stage, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.get("at").is_some() {
        return position_v1::stage(value);
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::position::tests::running;

    #[test]
    fn a_position_reads_back_and_a_newer_one_is_refused() {
        let position = running();
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
        let refused = |text: String| serde_json::from_str::<Position>(&text).unwrap_err().to_string();
        assert!(refused(text.replacen(r#""format":2"#, r#""format":3"#, 1)).contains("format is 3"));
        assert!(refused(text.replacen(r#""deaths":0"#, r#""deaths":0,"later":1"#, 1)).contains("later"));
        assert!(refused(text.replacen(r#""act""#, r#""plan""#, 1)).contains("plan"));
        let fewer = text.replacen(r#","deaths":0"#, "", 1);
        assert_ne!(fewer, text);
        assert_eq!(serde_json::from_str::<Position>(&fewer).unwrap(), position, "a missing counter is 0");
    }
}
