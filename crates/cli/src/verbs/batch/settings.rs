//! The settings of a batch: from flags and from `batch set`, each refused at once where the rules cannot read it.

use crate::Usage;
use crate::args::BatchCreate;
use anyhow::bail;
use contract::BatchSettings;

/// From the flags of `batch create`.
pub(super) fn of(verb: &BatchCreate) -> anyhow::Result<BatchSettings> {
    let mut settings = BatchSettings::default();
    if let Some(steps) = &verb.canary {
        apply(&mut settings, "canary", steps)?;
    }
    if let Some(share) = &verb.abort_at {
        apply(&mut settings, "abort-at", share)?;
    }
    if let Some(wait) = &verb.wait {
        apply(&mut settings, "wait", wait)?;
    }
    if let Some(tz) = &verb.tz {
        apply(&mut settings, "tz", tz)?;
    }
    if !verb.window.is_empty() {
        settings.windows.clone_from(&verb.window);
        must_be_windows(&settings)?;
    }
    settings.approve = verb.approve;
    if let Some(rate) = verb.max_rate {
        apply(&mut settings, "max-rate", &rate.to_string())?;
    }
    Ok(settings)
}

/// Applies `key=value`.
pub(super) fn change(settings: &mut BatchSettings, said: &str) -> anyhow::Result<()> {
    let Some((key, value)) = said.split_once('=') else {
        bail!(Usage(format!("\"{said}\" is no setting; write KEY=VALUE, such as max-rate=10")));
    };
    apply(settings, key.trim(), value.trim())
}

fn apply(settings: &mut BatchSettings, key: &str, value: &str) -> anyhow::Result<()> {
    let unusable = |why: String| Usage(format!("{key}={value}: {why}"));
    match key {
        "canary" => {
            let steps: rules::Steps =
                value.parse().map_err(|error: rules::StepsError| unusable(error.to_string()))?;
            settings.canary = Some(steps.to_string());
        }
        "abort-at" => {
            let share: rules::Share =
                value.parse().map_err(|error: rules::ShareError| unusable(error.to_string()))?;
            settings.abort_at = share.to_string();
        }
        "wait" => {
            settings.wait_s =
                seconds(value).ok_or_else(|| unusable("a time is like 90s, 30m or 2h".to_owned()))?
        }
        "approve" => match value {
            "yes" | "true" => settings.approve = true,
            "no" | "false" => settings.approve = false,
            _ => bail!(unusable("it is yes or no".to_owned())),
        },
        "tz" => {
            value.clone_into(&mut settings.tz);
            must_be_windows(settings)?;
        }
        "window" => {
            settings.windows = match value {
                "none" => Vec::new(),
                windows => windows.split(';').map(|window| window.trim().to_owned()).collect(),
            };
            must_be_windows(settings)?;
        }
        "max-rate" => {
            settings.max_rate =
                match value {
                    "none" => None,
                    number => {
                        Some(number.parse().ok().filter(|rate| *rate > 0).ok_or_else(|| {
                            unusable("it is writes a second, 1 or more, or none".to_owned())
                        })?)
                    }
                };
        }
        "keep-in-step" => match value {
            "on" | "yes" | "true" => settings.keep_in_step = true,
            "off" | "no" | "false" => settings.keep_in_step = false,
            _ => bail!(unusable("it is on or off".to_owned())),
        },
        _ => bail!(Usage(format!(
            "there is no setting \"{key}\"; there are abort-at, approve, canary, keep-in-step, max-rate, tz, wait and window"
        ))),
    }
    Ok(())
}

fn must_be_windows(settings: &BatchSettings) -> anyhow::Result<()> {
    rules::Windows::parse(&settings.windows, &settings.tz).map_err(|error| Usage(error.to_string()))?;
    Ok(())
}

/// `90s`, `30m`, `2h`, or seconds; at most a week.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let times = match text.get(digits.len()..)? {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        _ => return None,
    };
    number.checked_mul(times).filter(|seconds| *seconds <= 7 * 24 * 3_600)
}

/// All of them, in a line.
pub(super) fn line(settings: &BatchSettings) -> String {
    let mut said = Vec::new();
    match &settings.canary {
        Some(steps) => {
            said.push(format!("in steps of {steps}"));
            said.push(format!("stops above {} failures in a step", settings.abort_at));
        }
        None => said.push("everybody at once".to_owned()),
    }
    if settings.wait_s > 0 {
        said.push(format!(
            "{} between steps",
            crate::lines::duration(std::time::Duration::from_secs(settings.wait_s))
        ));
    }
    if settings.approve {
        said.push("a person lets each further step go on".to_owned());
    }
    if !settings.windows.is_empty() {
        said.push(format!("within {} ({})", settings.windows.join("; "), settings.tz));
    }
    if let Some(rate) = settings.max_rate {
        said.push(format!("{rate} writes/s at most"));
    }
    if settings.keep_in_step {
        said.push("kept in step with newer datafiles by `serve coordinator`".to_owned());
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_makes_no_sense_is_refused_and_changes_nothing_else() {
        for said in [
            "max-rate=0",
            "max-rate=fast",
            "wait=soon",
            "abort-at=200%",
            "canary=0",
            "tz=Berlin",
            "speed=1",
            "keep-in-step=sometimes",
            "x",
        ] {
            let mut settings = BatchSettings::default();
            assert!(change(&mut settings, said).is_err(), "{said}");
        }
    }

    #[test]
    fn a_setting_is_taken_as_it_was_said() {
        let mut settings = BatchSettings::default();
        for said in [
            "max-rate=10",
            "wait=30m",
            "abort-at=0.5%",
            "canary=10,50%,100%",
            "tz=Europe/Berlin",
            "window=22:00-06:00",
            "keep-in-step=on",
        ] {
            change(&mut settings, said).unwrap();
        }
        assert_eq!(
            (settings.max_rate, settings.wait_s, settings.abort_at.as_str()),
            (Some(10), 1_800, "0.5%")
        );
        assert!(settings.keep_in_step);
        change(&mut settings, "max-rate=none").unwrap();
        assert_eq!(settings.max_rate, None);
        assert_eq!(settings.windows, ["22:00-06:00"]);
    }
}
