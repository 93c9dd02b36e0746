//! Read and apply access control lists, canned and written out.

use crate::{
    record::{Grant, Grantee, Permission},
    view::Stop,
};
use s3s::{
    dto::{self, AccessControlPolicy, Owner},
    s3_error,
};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// Most grants of a list.
const GRANTS_MAX: usize = 100;

/// Who is known by name.
pub trait Users {
    /// The name that is shown for a user, if there is one of that id.
    fn display_name(&self, id: &str) -> Option<String>;
    /// The user with a mail address.
    fn by_mail(&self, address: &str) -> Option<String>;
}

/// Grants as a request's headers name them.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// `x-amz-acl`.
    pub canned: Option<String>,
    /// `x-amz-grant-full-control`.
    pub full_control: Option<String>,
    /// `x-amz-grant-read`.
    pub read: Option<String>,
    /// `x-amz-grant-write`.
    pub write: Option<String>,
    /// `x-amz-grant-read-acp`.
    pub read_acp: Option<String>,
    /// `x-amz-grant-write-acp`.
    pub write_acp: Option<String>,
}

impl Headers {
    /// Whether they name nothing.
    pub fn is_empty(&self) -> bool {
        self.canned.is_none() && !self.names_grants()
    }

    fn names_grants(&self) -> bool {
        let named = [&self.full_control, &self.read, &self.write, &self.read_acp, &self.write_acp];
        named.into_iter().any(Option::is_some)
    }

    /// The grants that they mean. `owner` has what the list is of, `bucket_owner` the bucket that an object is in.
    pub fn grants(&self, owner: &str, bucket_owner: Option<&str>, users: &dyn Users) -> Result<Vec<Grant>, Stop> {
        match &self.canned {
            Some(_) if self.names_grants() => {
                Err(s3_error!(InvalidRequest, "a canned ACL and grants exclude each other").into())
            }
            Some(canned) => self::canned(canned, owner, bucket_owner),
            None => self.named(users).map(|named| if self.names_grants() { named } else { own(owner) }),
        }
    }

    fn named(&self, users: &dyn Users) -> Result<Vec<Grant>, Stop> {
        let named = [
            (&self.full_control, Permission::FullControl),
            (&self.read, Permission::Read),
            (&self.write, Permission::Write),
            (&self.read_acp, Permission::ReadAcp),
            (&self.write_acp, Permission::WriteAcp),
        ];
        let mut grants = Vec::new();
        for (header, permission) in named {
            for named in header.iter().flat_map(|header| header.split(',')) {
                grants.push(Grant { grantee: parse_grantee(named.trim(), users)?, permission });
            }
        }
        Ok(grants)
    }
}

/// What only its owner may use.
pub fn own(owner: &str) -> Vec<Grant> {
    vec![Grant { grantee: Grantee::User(owner.into()), permission: Permission::FullControl }]
}

/// The grants of a canned list.
fn canned(name: &str, owner: &str, bucket_owner: Option<&str>) -> Result<Vec<Grant>, Stop> {
    let to = |grantee: Grantee, permission: Permission| Grant { grantee, permission };
    let mut grants: Vec<Grant> = match name {
        "private" | "aws-exec-read" => vec![],
        "public-read" => vec![to(Grantee::All, Permission::Read)],
        "public-read-write" => vec![to(Grantee::All, Permission::Read), to(Grantee::All, Permission::Write)],
        "authenticated-read" => vec![to(Grantee::Authenticated, Permission::Read)],
        "log-delivery-write" => vec![to(Grantee::Log, Permission::Write), to(Grantee::Log, Permission::ReadAcp)],
        "bucket-owner-read" | "bucket-owner-full-control" => {
            let permission = if name.ends_with("read") { Permission::Read } else { Permission::FullControl };
            let other = bucket_owner.filter(|bucket_owner| *bucket_owner != owner);
            other.map(|bucket_owner| to(Grantee::User(bucket_owner.into()), permission)).into_iter().collect()
        }
        _ => return Err(s3_error!(InvalidArgument, "there is no canned ACL of this name").into()),
    };
    grants.extend(own(owner));
    Ok(grants)
}

fn parse_grantee(text: &str, users: &dyn Users) -> Result<Grantee, Stop> {
    let (kind, value) =
        text.split_once('=').ok_or_else(|| s3_error!(InvalidArgument, "a grant names id, uri or emailAddress"))?;
    let value = value.trim_matches('"');
    match kind {
        "id" => user(value, users),
        "uri" => group(value),
        "emailAddress" => mail(value, users),
        _ => Err(s3_error!(InvalidArgument, "a grant names id, uri or emailAddress").into()),
    }
}

fn user(id: &str, users: &dyn Users) -> Result<Grantee, Stop> {
    match users.display_name(id) {
        Some(_) => Ok(Grantee::User(id.into())),
        None => Err(s3_error!(InvalidArgument, "there is no user of this id").into()),
    }
}

fn mail(address: &str, users: &dyn Users) -> Result<Grantee, Stop> {
    let found = users.by_mail(address).map(Grantee::User);
    found.ok_or_else(|| s3_error!(UnresolvableGrantByEmailAddress, "no user has this address").into())
}

fn group(uri: &str) -> Result<Grantee, Stop> {
    match uri {
        ALL_USERS => Ok(Grantee::All),
        AUTHENTICATED_USERS => Ok(Grantee::Authenticated),
        LOG_DELIVERY => Ok(Grantee::Log),
        _ => Err(s3_error!(InvalidArgument, "there is no group of this name").into()),
    }
}

/// Reads a list that is written out.
pub fn parse(list: AccessControlPolicy, owner: &str, users: &dyn Users) -> Result<Vec<Grant>, Stop> {
    let malformed = || Stop::from(s3_error!(MalformedACLError));
    if list.owner.as_ref().and_then(|owner| owner.id.as_deref()).is_some_and(|named| named != owner) {
        return Err(s3_error!(AccessDenied, "the list names another owner").into());
    }
    let grants = list.grants.unwrap_or_default();
    if grants.len() > GRANTS_MAX {
        return Err(malformed());
    }
    let parse = |grant: dto::Grant| {
        let grantee = grant.grantee.ok_or_else(malformed)?;
        let grantee = match (grantee.id, grantee.uri, grantee.email_address) {
            (Some(id), ..) => user(&id, users)?,
            (_, Some(uri), _) => group(&uri)?,
            (.., Some(address)) => mail(&address, users)?,
            _ => return Err(malformed()),
        };
        let permission = match grant.permission.as_ref().map(dto::Permission::as_str) {
            Some("FULL_CONTROL") => Permission::FullControl,
            Some("READ") => Permission::Read,
            Some("WRITE") => Permission::Write,
            Some("READ_ACP") => Permission::ReadAcp,
            Some("WRITE_ACP") => Permission::WriteAcp,
            _ => return Err(malformed()),
        };
        Ok(Grant { grantee, permission })
    };
    grants.into_iter().map(parse).collect()
}

/// The list as S3 shows it.
pub fn show(grants: &[Grant], users: &dyn Users) -> Vec<dto::Grant> {
    let show = |grant: &Grant| {
        let group = |uri: &str| dto::Grantee {
            display_name: None,
            email_address: None,
            id: None,
            type_: dto::Type::from_static(dto::Type::GROUP),
            uri: Some(uri.into()),
        };
        let grantee = match &grant.grantee {
            Grantee::User(id) => dto::Grantee {
                display_name: users.display_name(id),
                email_address: None,
                id: Some(id.clone()),
                type_: dto::Type::from_static(dto::Type::CANONICAL_USER),
                uri: None,
            },
            Grantee::All => group(ALL_USERS),
            Grantee::Authenticated => group(AUTHENTICATED_USERS),
            Grantee::Log => group(LOG_DELIVERY),
        };
        let permission = match grant.permission {
            Permission::FullControl => "FULL_CONTROL",
            Permission::Read => "READ",
            Permission::Write => "WRITE",
            Permission::ReadAcp => "READ_ACP",
            Permission::WriteAcp => "WRITE_ACP",
        };
        dto::Grant { grantee: Some(grantee), permission: Some(dto::Permission::from_static(permission)) }
    };
    grants.iter().map(show).collect()
}

/// The owner as S3 shows one.
pub fn show_owner(id: &str, users: &dyn Users) -> Owner {
    Owner { display_name: Some(users.display_name(id).unwrap_or_else(|| id.into())), id: Some(id.into()) }
}

/// Whether a list lets somebody do something; nobody is anonymous.
pub fn allows(grants: &[Grant], who: Option<&str>, wanted: Permission, ignore_public: bool) -> bool {
    grants.iter().any(|grant| {
        let fits = grant.permission == wanted || grant.permission == Permission::FullControl;
        fits && match &grant.grantee {
            Grantee::User(id) => who == Some(id),
            Grantee::All => !ignore_public,
            Grantee::Authenticated => who.is_some() && !ignore_public,
            Grantee::Log => false,
        }
    })
}

/// Whether a list lets everybody in.
pub fn is_public(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| matches!(grant.grantee, Grantee::All | Grantee::Authenticated))
}
