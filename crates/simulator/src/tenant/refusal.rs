//! Every way in which Graph says no, with its status, code and message.
//!
//! Codes are what a client may branch on; most refusals of the authentication service are a bare `badRequest`, as in
//! the real one, so a client has to know the state and not the text. Messages never repeat a number or a secret.

/// A refusal. It has had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such segment in this version of the API.
    Segment(String),
    /// The path is there, the verb is not.
    Verb,
    /// No such user, group or other directory object.
    Absent(String),
    /// No such method on this user.
    MethodAbsent,
    /// No such device in the inventory.
    DeviceAbsent,
    /// The body is not JSON, or lacks a content type.
    Body(&'static str),
    /// A property of the body is missing or not what it must be.
    Property(&'static str),
    /// A query option that Graph does not take here.
    Query(String),
    /// A property in `$select` or `$filter` that the type does not have.
    UnknownProperty(String),
    /// A query that needs `ConsistencyLevel: eventual` and `$count=true`.
    Advanced,
    /// Not a number in Graph's notation.
    PhoneNumber,
    /// A phone of this type is there already.
    PhoneExists,
    /// An alternate mobile without a mobile.
    AlternateNeedsMobile,
    /// The mobile cannot go while the alternate mobile is there.
    MobileHasAlternate,
    /// A phone keeps its type.
    PhoneTypeFixed,
    /// The default cannot go while other methods are there.
    IsDefault(String),
    /// A default that the user does not have.
    DefaultAbsent,
    /// SMS sign-in is not enabled by policy.
    SmsSignIn,
    /// All five places are taken.
    DeviceLimit,
    /// Guests cannot hold tokens.
    Guest,
    /// The token is held by somebody.
    TokenHeld,
    /// The token is not held by this user in a way that allows this.
    TokenState,
    /// The code does not match.
    Code,
    /// Temporary Access Passes are off, or not for this user.
    PassPolicy,
    /// A Temporary Access Pass that the policy does not allow: too short, too long, or usable more than once.
    PassSettings(&'static str),
    /// A pass that can still be used is there.
    PassExists,
    /// Guests get no pass.
    PassGuest,
    /// A request about groups or policies that the directory does not grant, and why.
    Request(&'static str),
    /// A reference that is there already, or twice in the request, by the name of its property.
    ReferenceExists(&'static str),
    /// A group that gives roles is written by few.
    RoleGroup,
    /// Another request is changing the same object.
    Concurrency,
}

impl Refusal {
    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Absent(_) | Self::MethodAbsent | Self::DeviceAbsent => 404,
            Self::Verb | Self::SmsSignIn => 405,
            Self::RoleGroup => 403,
            Self::Concurrency => 409,
            Self::Segment(_)
            | Self::Body(_)
            | Self::Property(_)
            | Self::Query(_)
            | Self::UnknownProperty(_)
            | Self::Advanced
            | Self::PhoneNumber
            | Self::PhoneExists
            | Self::AlternateNeedsMobile
            | Self::MobileHasAlternate
            | Self::PhoneTypeFixed
            | Self::IsDefault(_)
            | Self::DefaultAbsent
            | Self::DeviceLimit
            | Self::Guest
            | Self::TokenHeld
            | Self::TokenState
            | Self::Code
            | Self::PassPolicy
            | Self::PassSettings(_)
            | Self::PassExists
            | Self::PassGuest
            | Self::Request(_)
            | Self::ReferenceExists(_) => 400,
        }
    }

    /// Graph's error code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Segment(_) | Self::Body(_) | Self::Query(_) | Self::UnknownProperty(_) => "BadRequest",
            Self::Verb | Self::Request(_) | Self::ReferenceExists(_) => "Request_BadRequest",
            Self::RoleGroup => "Authorization_RequestDenied",
            Self::Concurrency => "Directory_ConcurrencyViolation",
            Self::Advanced => "Request_UnsupportedQuery",
            Self::Absent(_) => "Request_ResourceNotFound",
            Self::MethodAbsent | Self::DeviceAbsent => "resourceNotFound",
            Self::PhoneNumber => "invalidPhoneNumber",
            Self::SmsSignIn => "disabledByPolicy",
            Self::Property(_)
            | Self::PhoneExists
            | Self::AlternateNeedsMobile
            | Self::MobileHasAlternate
            | Self::PhoneTypeFixed
            | Self::IsDefault(_)
            | Self::DefaultAbsent
            | Self::DeviceLimit
            | Self::Guest
            | Self::TokenHeld
            | Self::TokenState
            | Self::Code
            | Self::PassPolicy
            | Self::PassSettings(_)
            | Self::PassExists
            | Self::PassGuest => "badRequest",
        }
    }

    /// The message; for people alone.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Segment(segment) => format!("Resource not found for the segment '{segment}'."),
            Self::Verb => "Specified HTTP method is not allowed for the request target.".to_owned(),
            Self::Absent(what) => format!(
                "Resource '{what}' does not exist or one of its queried reference-property objects are not present."
            ),
            Self::MethodAbsent => "The requested authentication method is not registered for the user.".to_owned(),
            Self::DeviceAbsent => "The requested hardware OATH device was not found.".to_owned(),
            Self::Body(why) => (*why).to_owned(),
            Self::Property(name) => format!("The property '{name}' is missing or not valid."),
            Self::Query(why) => why.clone(),
            Self::UnknownProperty(name) => format!("Could not find a property named '{name}'."),
            Self::Advanced => "Request with $count or a cast needs 'ConsistencyLevel: eventual' and $count=true.".to_owned(),
            Self::PhoneNumber => "The phone number is not valid; expected +<country code> <number>x<extension>.".to_owned(),
            Self::PhoneExists => "A phone method of this type is already registered for the user.".to_owned(),
            Self::AlternateNeedsMobile => "An alternate mobile phone needs a mobile phone.".to_owned(),
            Self::MobileHasAlternate => {
                "The mobile phone cannot be deleted while an alternate mobile phone is registered.".to_owned()
            }
            Self::PhoneTypeFixed => "The type of a phone method cannot be changed.".to_owned(),
            Self::IsDefault(id) => format!(
                "The requested authentication method id of [{id}] matches the user's current default authentication \
                 method, and cannot be deleted until the default authentication method is changed."
            ),
            Self::DefaultAbsent => "The preferred method is not registered for the user.".to_owned(),
            Self::SmsSignIn => {
                "Can not enable Sms sign in on phone auth method as the credential policy is not enabled on user.".to_owned()
            }
            Self::DeviceLimit => {
                "You can't setup another device because you already have five authenticator apps or hardware tokens."
                    .to_owned()
            }
            Self::Guest => "Hardware tokens cannot be assigned to guest users.".to_owned(),
            Self::TokenHeld => "The hardware token is assigned to a user.".to_owned(),
            Self::TokenState => "The hardware token is not in a state that allows this operation.".to_owned(),
            Self::Code => "The verification code is not correct.".to_owned(),
            Self::PassPolicy => "Temporary Access Pass is not enabled for the user by policy.".to_owned(),
            Self::PassSettings(what) => format!("The {what} of the Temporary Access Pass is not allowed by policy."),
            Self::PassExists => "The user has a valid Temporary Access Pass already.".to_owned(),
            Self::PassGuest => "Temporary Access Passes cannot be created for guest users.".to_owned(),
            Self::Request(why) => (*why).to_owned(),
            Self::ReferenceExists(property) => format!(
                "One or more added object references already exist for the following modified properties: '{property}'."
            ),
            Self::RoleGroup => "Insufficient privileges to complete the operation.".to_owned(),
            Self::Concurrency => "Error due to concurrent requests being made to the tenant.".to_owned(),
        }
    }
}
