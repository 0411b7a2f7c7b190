//! `config show`: the effective configuration, and where each value came from.

use crate::Exit;
use crate::config::Loaded;

pub(crate) fn run(loaded: &Loaded, json: bool) -> anyhow::Result<Exit> {
    if json {
        let rows: Vec<_> = loaded
            .shown
            .iter()
            .map(|(key, value, origin)| {
                serde_json::json!({ "key": key, "value": value, "from": origin.to_string() })
            })
            .collect();
        println!("{}", serde_json::Value::from(rows));
    } else {
        for (key, value, origin) in &loaded.shown {
            println!("{key:34} = {value:44} # {origin}");
        }
    }
    Ok(Exit::Done)
}
