//! Calls on the inventory itself (beta alone): list, create one or many, change, delete.
//!
//! A create with a holder that is refused creates nothing. A second create of a known serial succeeds, as the real
//! inventory may. Secrets go in and never come out.

use super::answer::Answer;
use super::call::Call;
use super::devices::Device;
use super::effect::Effect;
use super::filter::Filter;
use super::refusal::Refusal;
use super::totp::base32;
use super::{Now, Tenant};
use contract::TokenStatus;
use serde_json::{Map, Value, json};

const ROOT: &str = "directory/authenticationMethodDevices/hardwareOathDevices";

impl Tenant {
    /// A device as Graph shows it.
    pub(super) fn device_view(&self, device: &Device) -> Value {
        let holder = device.holder.and_then(|u| self.attributes(u).ok());
        let assigned_to = holder.map(|u| {
            let name = u.get("displayName").unwrap_or_else(|| u.upn());
            json!({ "id": u.id(), "displayName": name })
        });
        json!({
            "@odata.type": "#microsoft.graph.hardwareOathTokenAuthenticationMethodDevice",
            "id": device.id,
            "displayName": device.display_name,
            "serialNumber": device.serial,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "secretKey": null,
            "timeIntervalInSeconds": device.interval_seconds,
            "hashFunction": if device.sha256 { "hmacsha256" } else { "hmacsha1" },
            "status": device.status.as_str(),
            "lastUsedDateTime": null,
            "assignedTo": assigned_to,
        })
    }

    pub(super) fn list_devices(&self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let filter = call.query.filter.as_deref().map(Filter::parse).transpose()?;
        const FIELDS: [&str; 7] = [
            "serialNumber",
            "manufacturer",
            "model",
            "hashFunction",
            "timeIntervalInSeconds",
            "status",
            "assignedTo/id",
        ];
        if let Some(filter) = &filter {
            filter.only(&FIELDS)?;
        }
        // A serial is looked up by far the most often.
        let by_serial = filter.as_ref().and_then(|f| f.single("serialNumber"));
        let candidates: Vec<&Device> = match by_serial {
            Some(serial) => self
                .inventory
                .of_serial(serial)
                .iter()
                .filter_map(|i| self.inventory.visible(*i, now))
                .collect(),
            None => self.inventory.all_visible(now).collect(),
        };
        let matches = |device: &&Device| {
            filter.as_ref().is_none_or(|f| f.matches(|name| self.device_property(device, name)))
        };
        let found: Vec<&Device> = candidates.into_iter().filter(matches).collect();
        let size = call.query.page_size();
        let page = found.iter().skip(call.query.skip).take(size).map(|d| self.device_view(d)).collect();
        Ok(page_answer(call, ROOT, page, found.len()))
    }

    fn device_property(&self, device: &Device, name: &str) -> Option<String> {
        match name {
            "serialNumber" => Some(device.serial.to_string()),
            "manufacturer" => device.manufacturer.as_deref().map(str::to_owned),
            "model" => device.model.as_deref().map(str::to_owned),
            "hashFunction" => Some(if device.sha256 { "hmacsha256" } else { "hmacsha1" }.to_owned()),
            "timeIntervalInSeconds" => Some(device.interval_seconds.to_string()),
            "status" => Some(device.status.as_str().to_owned()),
            _ => device.holder.and_then(|u| self.attributes(u).ok()).map(|u| u.id().to_owned()),
        }
    }

    pub(super) fn create_device(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let at = self.create(call.object()?, now)?.0;
        let mut view = self.inventory.get(at).map(|d| self.device_view(d)).unwrap_or_default();
        if let Some(map) = view.as_object_mut() {
            map.insert("@odata.context".to_owned(), Value::from(call.context(&format!("{ROOT}/$entity"))));
        }
        Ok(Answer::json(201, &view))
    }

    /// Creates one device, maybe in a user's hands; answers its position and the method's id.
    fn create(&mut self, body: &Map<String, Value>, now: Now) -> Result<(u32, Option<Box<str>>), Refusal> {
        let mut device = read_device(body)?;
        let holder = match body.get("assignTo") {
            None | Some(Value::Null) => None,
            Some(user) => {
                let id = user.get("id").and_then(Value::as_str).ok_or(Refusal::Property("assignTo"))?;
                let at = self.user(id)?;
                self.allow_token(at)?;
                Some(at)
            }
        };
        device.id = self.ids.fresh().into_boxed_str();
        let serial = Some(device.serial.to_string());
        if holder.is_some() {
            device.status = TokenStatus::Assigned;
        }
        let to = Some(device.status.as_str().to_owned());
        let at = self.inventory.add(device, now);
        let (mut user, mut method) = (None, None);
        if let Some(holder) = holder {
            method = Some(self.hand_over(holder, at, now)?.method_id);
            user = Some(self.attributes(holder)?.id().to_owned());
        }
        self.effects.push(Effect { user, method: "hardwareOath", serial, from: None, to });
        Ok((at, method))
    }

    /// The bulk create: each item stands for itself; an item that is refused carries its error (Graph's format for
    /// that is not published).
    pub(super) fn create_devices(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let body = call.object()?;
        if body.get("@context").and_then(Value::as_str) != Some("#$delta") {
            return Err(Refusal::Property("@context"));
        }
        let items = body.get("value").and_then(Value::as_array).ok_or(Refusal::Property("value"))?;
        let mut value = Vec::with_capacity(items.len());
        for item in items {
            let map = item.as_object().ok_or(Refusal::Property("value"))?;
            let mut view = match self.create(map, now) {
                Ok((at, method)) => {
                    let device = self.inventory.get(at);
                    json!({
                        "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
                        "id": method.or(device.map(|d| d.id.clone())),
                        "device": device.map(|d| self.device_view(d)),
                    })
                }
                Err(refusal) => json!({
                    "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
                    "@error": { "code": refusal.code(), "message": refusal.message() },
                }),
            };
            if let (Some(view), Some(content)) = (view.as_object_mut(), map.get("@contentId")) {
                view.insert("@contentId".to_owned(), content.clone());
            }
            value.push(view);
        }
        Ok(Answer::json(201, &json!({ "@odata.context": call.context(ROOT), "value": value })))
    }

    pub(super) fn get_device(&self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let found = self.inventory.all_visible(now).find(|d| d.id.eq_ignore_ascii_case(id));
        let mut view = self.device_view(found.ok_or(Refusal::DeviceAbsent)?);
        if let Some(map) = view.as_object_mut() {
            map.insert("@odata.context".to_owned(), Value::from(call.context(&format!("{ROOT}/$entity"))));
        }
        Ok(Answer::json(200, &view))
    }

    fn unheld(&self, id: &str) -> Result<u32, Refusal> {
        let at = self.inventory.find(id)?;
        match self.inventory.get(at).and_then(|d| d.holder) {
            Some(_) => Err(Refusal::TokenHeld),
            None => Ok(at),
        }
    }

    pub(super) fn update_device(&mut self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.unheld(id)?;
        let body = call.object()?;
        if body.get("secretKey").is_some_and(|v| !v.is_null()) {
            return Err(Refusal::Property("secretKey"));
        }
        let interval = interval(body)?;
        let sha256 = is_sha256(body)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(Box::<str>::from);
        if let Some(serial) = text("serialNumber").filter(|s| !s.is_empty()) {
            self.inventory.set_serial(at, &serial, now)?;
        }
        let device = self.inventory.change(at, now)?;
        device.display_name = text("displayName").or(device.display_name.take());
        device.manufacturer = text("manufacturer").or(device.manufacturer.take());
        device.model = text("model").or(device.model.take());
        device.interval_seconds = interval.unwrap_or(device.interval_seconds);
        device.sha256 = sha256.unwrap_or(device.sha256);
        let view = self.inventory.get(at).map(|d| self.device_view(d)).unwrap_or_default();
        Ok(Answer::json(200, &view))
    }

    pub(super) fn delete_device(&mut self, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.unheld(id)?;
        let gone = self.inventory.delete(at, now)?;
        self.effects.push(Effect {
            user: None,
            method: "hardwareOath",
            serial: Some(gone.serial.into()),
            from: Some(gone.status.as_str().to_owned()),
            to: None,
        });
        Ok(Answer::no_content())
    }
}

fn interval(body: &Map<String, Value>) -> Result<Option<u32>, Refusal> {
    match body.get("timeIntervalInSeconds") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(30) => Ok(Some(30)),
            Some(60) => Ok(Some(60)),
            _ => Err(Refusal::Property("timeIntervalInSeconds")),
        },
    }
}

fn is_sha256(body: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    match body.get("hashFunction") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str() {
            Some("hmacsha1") => Ok(Some(false)),
            Some("hmacsha256") => Ok(Some(true)),
            _ => Err(Refusal::Property("hashFunction")),
        },
    }
}

fn read_device(body: &Map<String, Value>) -> Result<Device, Refusal> {
    let text = |name: &'static str| {
        body.get(name).and_then(Value::as_str).filter(|s| !s.is_empty()).ok_or(Refusal::Property(name))
    };
    let secret = base32(text("secretKey")?).ok_or(Refusal::Property("secretKey"))?;
    Ok(Device {
        id: Box::from(""),
        serial: Box::from(text("serialNumber")?),
        display_name: body.get("displayName").and_then(Value::as_str).map(Box::from),
        manufacturer: Some(Box::from(text("manufacturer")?)),
        model: Some(Box::from(text("model")?)),
        secret: Some(secret),
        interval_seconds: interval(body)?.ok_or(Refusal::Property("timeIntervalInSeconds"))?,
        sha256: is_sha256(body)?.unwrap_or(false),
        status: TokenStatus::Available,
        holder: None,
    })
}

/// A page of a list of JSON objects, with its link and, when asked for, the count of all.
pub(super) fn page_answer(call: &Call, context: &str, page: Vec<Value>, total: usize) -> Answer {
    let end = call.query.skip + page.len();
    let next = (end < total && !page.is_empty()).then_some(end);
    page_until(call, context, page, total, next)
}

/// The same, where the next page begins at a place of its own.
pub(super) fn page_until(
    call: &Call,
    context: &str,
    page: Vec<Value>,
    total: usize,
    next: Option<usize>,
) -> Answer {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), Value::from(call.context(context)));
    if call.query.count {
        body.insert("@odata.count".to_owned(), Value::from(total));
    }
    if let Some(next) = next {
        body.insert(
            "@odata.nextLink".to_owned(),
            Value::from(call.query.next_link(&call.base, &call.path, next)),
        );
    }
    body.insert("value".to_owned(), Value::from(page));
    Answer::json(200, &Value::from(body))
}
