//! Describe the command line: `cess <noun> <verb>`.

mod address;
mod error;
mod quantity;

pub use address::{ByteRange, ObjectUrl, Place};
pub use error::one_line;
pub use quantity::{Amount, Bytes, format_amount, format_bytes, profile_name};

use crate::genesis::{Preset, parse_allocation, parse_validator};
use alloy_primitives::{Address, B256};
use clap::{Args, Parser, Subcommand};
use client::Region;
use std::{convert::Infallible, ffi::OsString, net::SocketAddr, path::PathBuf};
use types::{
    Profile,
    spec::{Allocation, ValidatorSpec},
};

const LONG_ABOUT: &str = "\
Store encrypted data on machines you need not trust, on a network with its own EVM chain.

Try it:
  cess devnet --detach                          a whole network on this machine, with funded accounts
  cess territory buy --size 10GiB --days 30     space for a time
  cess bucket create photos
  cess put holiday.mp4 cess://photos/2026/holiday.mp4
  cess get cess://photos/2026/holiday.mp4 copy.mp4

Commands find the node and the account in this order: --rpc and --keystore; the devnet that --devnet names;
the devnet that runs on this machine.";

const DEVNET_ABOUT: &str = "\
Run a whole network on this machine: every role is a process of its own.

Without a verb the network starts, or goes on where it stopped if DIR holds one, and runs until Ctrl-C. DIR is
what --data names, or cess/devnet in the user's data folder. DIR/devnet.json tells programs where everything is;
DIR/logs has a log of every role. A new network has 4 validators and 12 miners.
The accounts of a devnet are public knowledge: never send anything of value to them.";

const GENESIS_ABOUT: &str = "\
Begin a chain: keys, a draft of its specification, the ceremony that makes the group key.

1. Each validator makes its identity:     cess genesis key --out key
2. One collects the public keys:          cess genesis draft --preset testnet \\
                                            --validator KEY@IP:PORT=ACCOUNT ... --allocate ACCOUNT=COINS --out draft.toml
3. All have the same draft, and at about the same time each runs
                                          cess genesis ceremony --draft draft.toml --key key --listen 0.0.0.0:PORT --out .
   It ends with genesis.toml, the same for everybody, and a secret share for each. Nobody knows the group's secret.
4. Each starts `cess validator` with these three files.";

const CHALLENGE_ABOUT: &str = "\
Have the members that hold an object show a piece of it that the chain chooses, for a fee.

Rounds audit everybody all the time; this asks at once, for what you name. Each member challenged costs a small fee, which it
gets if it shows the piece. One that cannot is fined: you have the fee back, and a tenth of the fine. The command waits for
the answers, which come with the next audit round (on a devnet within two minutes), and fails if a member was fined.";

const MINER_ABOUT: &str = "\
Run a storage miner: hold fragments, serve them, answer audits, rebuild what is lost.

`cess miner status` shows how a miner stands, from any machine.";

const GATEWAY_ABOUT: &str = "\
Serve an account's buckets to S3's tools: command lines, SDKs, backup and sync programs, browsers.

The gateway is the owner's machine: it holds the account's keys, and seals before anything leaves it. It starts only when
there is an access key. `cess devnet` runs one.

  cess gateway key create --config gateway.toml --policy read-write --bucket photos
  cess gateway --config gateway.toml";

const MINER_STATUS_ABOUT: &str = "\
Show how a miner stands, from any machine, by what the chain says and what the miner itself answers.

Its lots and seats, the rounds that it answered and missed, faults and fines with what to do about each, what it earned,
and the columns that are being rebuilt. Without --id or --address, the miner of the account that acts.
Rounds, fines and payments are counted over the last blocks, see --blocks.";

const MINER_RETIRE_ABOUT: &str = "\
Leave the network for good, without loss to anybody.

Lots that are free are taken out at once, and their collateral is paid back. Keep the miner running: it hands its seats over,
a few at a time, and answers for each until another miner has the column. Then that lot's collateral comes back too.
`cess miner status` shows what is left.";

const AUDIT_VERIFY_ABOUT: &str = "\
Check a past audit round again: every opening, and every fault with what it rests on.

Nothing is taken from the chain's verdict. Which bytes a sample asked for follows from the round's two beacons; what the
miner owed is put together from the logs of its volume up to the moment the round opened; the opening is in its transaction,
and has to fit the miner's commitment. A fault names its evidence: the commitment, the sample, the bytes owed, and
that nothing opened them. Fails if anything contradicts the chain. Beacons, logs and transactions are read from your node.

  cess audit verify --round 812 --miner 7
  cess audit verify 0x1f…                       the round that this transaction belongs to";

const REPORT_ABOUT: &str = "\
Examine an object that cannot be read, and report what its writer made wrong.

Reads every fragment of the object's segments, not only as many as reading takes. Fragments that do not belong together, although
each fits its root, were written so: a column in which they contradict each other is sent to the chain, which voids the
stripe, burns the writer's deposit and has the members delete it. What is sound stays as it is.";

const VOLUMES_ABOUT: &str = "\
Show the health of volumes: who is left, and what is being rebuilt.

LIVE counts the seats whose columns are there, and below which number repair begins; SURVIVORS those of them whose miners
answer now. The lines below the table are seats that are not whole: how far the rebuild is, how fast, and the time left at that
rate. With a number, one volume with all of its seats.";

const POLICY_ABOUT: &str = "\
Say where data may be kept.

A policy binds the miners of the volumes that are formed under it, and whoever replaces one of them: their regions, and
how many of them share a region or a network. Regions and networks are what miners declare. A bucket is written under
its policy: `cess bucket create NAME --policy NUMBER`. Policy 0 is for everybody: anywhere, with the chain's own caps.";

const POLICY_CREATE_ABOUT: &str = "\
Make a policy and pay for its first volume.

A policy never changes. A public one that says the same is found again and costs nothing. What no miners can satisfy
is refused with what is missing; `cess policy check` asks without paying.

  cess policy create --allow DE,FR,CH --cap-network 2
  cess policy create --forbid US";

const PUT_ABOUT: &str = "\
Store a file, a folder, or standard input.

Returns when the object is final and every live miner of its volumes has signed for it. An upload of a file that
was interrupted goes on where it stopped when the same command runs again.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "cess", version, about = "Decentralised storage with its own EVM chain", long_about = LONG_ABOUT)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options for every command")]
pub struct Globals {
    /// Node to ask, such as http://127.0.0.1:8545
    #[arg(long, global = true, value_name = "URL", env = "CESS_RPC", hide_env = true)]
    pub rpc: Option<String>,
    /// Encrypted keystore of the account that acts and pays (see `cess account new`)
    #[arg(long, global = true, value_name = "FILE", env = "CESS_KEYSTORE", hide_env = true)]
    pub keystore: Option<PathBuf>,
    /// File with the keystore's passphrase, instead of a question on the terminal
    #[arg(long, global = true, value_name = "FILE", env = "CESS_PASSPHRASE_FILE", hide_env = true)]
    pub passphrase_file: Option<PathBuf>,
    /// Use this devnet's node and its first development account; without DIR, the devnet that was started last
    #[arg(long, global = true, value_name = "DIR", num_args = 0..=1, default_missing_value = "",
          value_parser = devnet_choice, env = "CESS_DEVNET", hide_env = true)]
    pub devnet: Option<DevnetChoice>,
    /// Folder of the command's own files: a devnet, keystores, unfinished uploads
    #[arg(long, global = true, value_name = "DIR", env = "CESS_DATA", hide_env = true)]
    pub data: Option<PathBuf>,
    /// Print the result as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// Which devnet a command means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevnetChoice {
    /// The one that was started last.
    Last,
    /// The one in this folder.
    At(PathBuf),
}

fn devnet_choice(text: &str) -> Result<DevnetChoice, Infallible> {
    Ok(if text.is_empty() { DevnetChoice::Last } else { DevnetChoice::At(text.into()) })
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole network on this machine
    #[command(long_about = DEVNET_ABOUT)]
    Devnet(DevnetArgs),
    /// Begin a chain: keys, a draft of its specification, the ceremony that makes the group key
    #[command(subcommand, long_about = GENESIS_ABOUT)]
    Genesis(GenesisCommand),
    /// Run a validator: order and execute blocks, serve RPC
    Validator(RoleArgs),
    /// Run a storage miner, or show how one stands
    #[command(long_about = MINER_ABOUT)]
    Miner(MinerArgs),
    /// Serve an account's buckets to S3's tools, or manage who may use them
    #[command(long_about = GATEWAY_ABOUT)]
    Gateway(GatewayArgs),
    /// Make accounts, look at them, send money
    #[command(subcommand)]
    Account(AccountCommand),
    /// Buy space for a time
    #[command(subcommand)]
    Territory(TerritoryCommand),
    /// Make and remove buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Say where data may be kept: regions, networks, caps
    #[command(subcommand, long_about = POLICY_ABOUT)]
    Policy(PolicyCommand),
    /// Store and read objects
    #[command(subcommand)]
    Object(ObjectCommand),
    /// Look at the network
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Check again what audit rounds found
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Short for `cess object put`
    #[command(long_about = PUT_ABOUT)]
    Put(PutArgs),
    /// Short for `cess object get`
    Get(GetArgs),
    /// Short for `cess object list`; without a bucket, lists the buckets
    Ls(LsArgs),
    /// Short for `cess object remove`
    Rm(RemoveArgs),
}

impl Command {
    /// Whether it only looks at what was stored, which goes on when the chain stands still.
    pub fn only_reads(&self) -> bool {
        match self {
            Self::Get(_) | Self::Ls(_) | Self::Network(_) | Self::Audit(_) => true,
            Self::Object(command) => {
                matches!(command, ObjectCommand::Get(_) | ObjectCommand::List(_) | ObjectCommand::Stat { .. })
            }
            Self::Bucket(command) => matches!(command, BucketCommand::List),
            Self::Territory(command) => matches!(command, TerritoryCommand::List),
            Self::Miner(arguments) => arguments.command.is_some(),
            Self::Policy(command) => !matches!(command, PolicyCommand::Create(_) | PolicyCommand::Widen { .. }),
            _ => false,
        }
    }
}

/// `cess devnet`
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Validators of a new network
    #[arg(long, value_name = "COUNT")]
    pub validators: Option<u32>,
    /// Storage miners of a new network: none, or at least 8
    #[arg(long, value_name = "COUNT")]
    pub miners: Option<u32>,
    /// Seconds between two audit rounds of a new network, 12 to 60 [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(12..=60))]
    pub audit_round: Option<u32>,
    /// Regions that the miners of a new network declare in turn [default: DE,FR,US,JP]
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub regions: Vec<Region>,
    /// Networks (ASNs) that the miners of each region declare in turn [default: 3]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub networks: Option<u16>,
    /// Delete what DIR holds and start a new network
    #[arg(long)]
    pub fresh: bool,
    /// Return when the network is ready; it runs on until `cess devnet stop`
    #[arg(long)]
    pub detach: bool,
    /// How `--detach` starts the process that stays.
    #[arg(long, hide = true)]
    pub background: bool,
    #[command(subcommand)]
    pub command: Option<DevnetCommand>,
}

/// `cess devnet …`
#[derive(Debug, Subcommand)]
pub enum DevnetCommand {
    /// Show the roles and whether they run
    Status,
    /// Stop every role; the data stays
    Stop,
    /// Kill a role at once (SIGKILL), as a crash would
    Kill {
        /// Name as in devnet.json: validator-0, miner-3, …
        role: String,
    },
    /// Start a role that was killed or crashed
    Start {
        /// Name as in devnet.json: validator-0, miner-3, …
        role: String,
    },
}

/// `cess miner`
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct MinerArgs {
    /// Configuration, TOML; docs/operate has a commented example
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// Stop when whoever holds this file's lock is gone.
    #[arg(long, hide = true, value_name = "FILE")]
    pub supervised: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<MinerCommand>,
}

/// `cess miner …`
#[derive(Debug, Subcommand)]
pub enum MinerCommand {
    /// Show how a miner stands: lots, rounds, faults and what to do about them, earnings, repairs
    #[command(long_about = MINER_STATUS_ABOUT)]
    Status(MinerStatusArgs),
    /// Leave for good: free lots at once, seats when others have their columns
    #[command(long_about = MINER_RETIRE_ABOUT)]
    Retire(MinerRetireArgs),
}

/// `cess miner retire`
#[derive(Debug, Args)]
pub struct MinerRetireArgs {
    /// Configuration of the miner that leaves
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Go on: this cannot be undone
    #[arg(long)]
    pub yes: bool,
}

/// `cess miner status`
#[derive(Debug, Args)]
pub struct MinerStatusArgs {
    /// The miner's number
    #[arg(long, value_name = "NUMBER", conflicts_with = "address")]
    pub id: Option<u32>,
    /// The account of its operator
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<Address>,
    /// How many of the last blocks rounds, fines and payments are counted over
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub blocks: u64,
}

/// `cess gateway`
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct GatewayArgs {
    /// Configuration, TOML; docs/operate has a commented example
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// Stop when whoever holds this file's lock is gone.
    #[arg(long, hide = true, value_name = "FILE")]
    pub supervised: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<GatewayCommand>,
}

/// `cess gateway …`
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Make, list and remove access keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show traffic, errors and latency percentiles of a running gateway
    Status {
        /// The gateway's configuration; that of the devnet's gateway if it is not named
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `cess gateway key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an access key; its secret is shown once
    Create(KeyCreateArgs),
    /// List access keys
    List {
        /// The gateway's configuration; that of the devnet's gateway if it is not named
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Remove an access key: the gateway refuses it at once
    Remove {
        /// Its id
        id: String,
        /// The gateway's configuration; that of the devnet's gateway if it is not named
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `cess gateway key create`
#[derive(Debug, Args)]
pub struct KeyCreateArgs {
    /// What it may do: read and list; also write and delete objects; or everything
    #[arg(long, value_enum)]
    pub policy: KeyPolicyName,
    /// Bucket that it is for, several times for several; all buckets without
    #[arg(long = "bucket", value_name = "NAME")]
    pub buckets: Vec<String>,
    /// Days until it expires; never without
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub days: Option<u32>,
    /// User that it is of: buckets and objects belong to users; the account itself without
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Name that is shown for the user
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
    /// The user's mail address, for grants by address
    #[arg(long, value_name = "ADDRESS")]
    pub mail: Option<String>,
    /// The access key id, if it has to be a certain one
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// File with the secret, if it has to be a certain one
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The gateway's configuration; that of the devnet's gateway if it is not named
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What an access key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyPolicyName {
    /// Read and list
    ReadOnly,
    /// Also write and delete objects
    ReadWrite,
    /// Everything, also make, configure and remove buckets
    Admin,
}

/// `cess validator`
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Configuration, TOML; docs/operate has a commented example
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Stop when whoever holds this file's lock is gone.
    #[arg(long, hide = true, value_name = "FILE")]
    pub supervised: Option<PathBuf>,
}

/// `cess account …`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account and keep its keys in an encrypted keystore
    New {
        /// Name of the keystore
        #[arg(long, default_value = "default")]
        name: String,
        /// Restore the account from its recovery words, which are asked for, instead of a new one
        #[arg(long)]
        restore: bool,
    },
    /// List the keystores, or a devnet's accounts
    List,
    /// Show what an account has
    Balance {
        /// The account; your own if absent
        address: Option<Address>,
    },
    /// Send money
    Send {
        /// Receiver
        to: Address,
        /// How much: 1.5, 20gwei, 1000wei
        amount: Amount,
    },
}

/// `cess territory …`
#[derive(Debug, Subcommand)]
pub enum TerritoryCommand {
    /// Buy a territory
    Buy {
        /// Bytes of your own data it shall take: 500MB, 10GiB
        #[arg(long, value_name = "SIZE")]
        size: Bytes,
        /// Days it is paid for
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
    /// List your territories
    List,
}

/// `cess bucket …`
#[derive(Debug, Subcommand)]
pub enum BucketCommand {
    /// Make a bucket
    Create {
        /// Its name; only you can read it
        #[arg(value_parser = address::bucket_name)]
        name: String,
        /// Territory that pays for what it holds; the one with the most free space if absent
        #[arg(long, value_name = "NUMBER")]
        territory: Option<u64>,
        /// Policy that says where it is kept (see `cess policy`)
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        policy: u32,
    },
    /// List your buckets
    List,
    /// Have what is written from now on kept under another policy; what is there stays where it is
    SetPolicy {
        /// The bucket's name
        #[arg(value_parser = address::bucket_name)]
        name: String,
        /// The policy
        policy: u32,
    },
    /// Remove an empty bucket
    Remove {
        /// Its name
        #[arg(value_parser = address::bucket_name)]
        name: String,
    },
}

/// `cess policy …`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Make a policy and pay for its first volume
    #[command(long_about = POLICY_CREATE_ABOUT)]
    Create(RuleArgs),
    /// List all policies
    List(NumberPage),
    /// Show a policy, its volumes, and whether more can be formed
    Show {
        /// Its number
        policy: u32,
    },
    /// Ask whether volumes can be formed now: under a policy that is there, or under one that is only thought of
    Check {
        /// Its number; give a rule instead to ask about a new one
        #[arg(conflicts_with_all = ["allow", "forbid", "cap_region", "cap_network", "profile", "miners"])]
        policy: Option<u32>,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// Pay for one more volume of a policy that takes writes at the same time: more room and more speed
    Widen {
        /// Its number
        policy: u32,
    },
}

/// What a policy says.
#[derive(Clone, Debug, Args)]
pub struct RuleArgs {
    /// Only these regions, ISO 3166: DE,FR,US-CA. DE covers DE-BE; everywhere if absent
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub allow: Vec<Region>,
    /// Not these regions
    #[arg(long, value_name = "REGIONS", value_delimiter = ',')]
    pub forbid: Vec<Region>,
    /// Most members of a volume that declare the same region; the chain's own cap if absent
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub cap_region: Option<u16>,
    /// Most members of a volume in the same network (ASN); the chain's own cap if absent
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub cap_network: Option<u16>,
    /// Code of its volumes: devnet, standard or wide; the chain's own if absent
    #[arg(long, value_name = "PROFILE", value_parser = quantity::profile)]
    pub profile: Option<Profile>,
    /// Only these miners, by number, whose operators named you their patron: a private policy, which earns them no emission
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub miners: Vec<u32>,
}

/// Which part of a list that is in the order of numbers.
#[derive(Clone, Copy, Debug, Args)]
pub struct NumberPage {
    /// Only those after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub after: u32,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// `cess object …`
#[derive(Debug, Subcommand)]
pub enum ObjectCommand {
    /// Store a file, a folder, or standard input
    #[command(long_about = PUT_ABOUT)]
    Put(PutArgs),
    /// Read an object, or all below a prefix that ends in /
    Get(GetArgs),
    /// List objects
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show what is known of an object
    Stat {
        /// cess://BUCKET/KEY
        url: ObjectUrl,
    },
    /// Remove objects
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Have the members that hold an object show a piece of it that the chain chooses, for a fee
    #[command(long_about = CHALLENGE_ABOUT)]
    Challenge(ChallengeArgs),
    /// Examine an object that cannot be read, and report what its writer made wrong
    #[command(long_about = REPORT_ABOUT)]
    Report {
        /// cess://BUCKET/KEY
        url: ObjectUrl,
    },
}

/// `cess object challenge`
#[derive(Debug, Args)]
pub struct ChallengeArgs {
    /// cess://BUCKET/KEY
    pub url: ObjectUrl,
    /// Segments of the object that are asked for, evenly spread
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub segments: u32,
    /// Only the members in these seats; all if absent
    #[arg(long, value_name = "SEATS", value_delimiter = ',')]
    pub seats: Vec<u16>,
}

/// `cess object put`
#[derive(Debug, Args)]
pub struct PutArgs {
    /// File or folder; - for standard input
    pub path: PathBuf,
    /// cess://BUCKET/KEY; a folder's files go below KEY/
    pub url: ObjectUrl,
}

/// `cess object get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// cess://BUCKET/KEY, or cess://BUCKET/PREFIX/ for all below it
    pub url: ObjectUrl,
    /// File or folder to write; - for standard output
    pub path: PathBuf,
    /// Only these bytes, first and last counted from 0: 0-99, or 100- for the rest
    #[arg(long, value_name = "A-B", value_parser = address::byte_range)]
    pub range: Option<ByteRange>,
}

/// `cess object list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// cess://BUCKET or cess://BUCKET/PREFIX
    pub url: Place,
    #[command(flatten)]
    pub page: Page,
}

/// `cess ls`
#[derive(Debug, Args)]
pub struct LsArgs {
    /// cess://BUCKET or cess://BUCKET/PREFIX; the buckets if absent
    pub url: Option<Place>,
    #[command(flatten)]
    pub page: Page,
}

/// Which part of a long list.
#[derive(Clone, Debug, Args)]
pub struct Page {
    /// Only keys after this one
    #[arg(long, value_name = "KEY")]
    pub after: Option<String>,
    /// At most so many; all if absent
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// `cess object remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// cess://BUCKET/KEY
    #[arg(required = true)]
    pub urls: Vec<ObjectUrl>,
}

/// `cess network …`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Show height, committee and group key
    Status,
    /// Show the health of volumes: who is left, and what is being rebuilt
    #[command(long_about = VOLUMES_ABOUT)]
    Volumes {
        /// Only this one, with all of its seats
        volume: Option<u32>,
        #[command(flatten)]
        page: NumberPage,
    },
    /// List storage miners
    Miners(NumberPage),
    /// Show the present audit round, and how miners stand: rounds answered, faults, earnings
    Audits(NumberPage),
}

/// `cess audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check a past round again: every opening, and every fault with what it rests on
    #[command(long_about = AUDIT_VERIFY_ABOUT)]
    Verify(AuditVerifyArgs),
}

/// `cess audit verify`
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// A transaction that committed or opened in the round
    #[arg(value_name = "TRANSACTION", required_unless_present = "round")]
    pub transaction: Option<B256>,
    /// The round
    #[arg(long, value_name = "NUMBER", conflicts_with = "transaction")]
    pub round: Option<u64>,
    /// Only what concerns this miner
    #[arg(long, value_name = "NUMBER")]
    pub miner: Option<u32>,
    /// How many blocks back the round may have begun
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub blocks: u64,
}

/// The arguments with `--devnet` completed: before a noun it stands alone, as in `cess --devnet network status`.
pub fn complete_devnet(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut completed: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_noun = <Cli as clap::CommandFactory>::command().find_subcommand(&argument).is_some();
        if is_noun && completed.last().is_some_and(|last| last == "--devnet") {
            completed.pop();
            completed.push("--devnet=".into());
        }
        completed.push(argument);
    }
    completed
}

#[cfg(test)]
mod tests;

/// `cess genesis`.
#[derive(Subcommand, Clone, Debug)]
pub enum GenesisCommand {
    /// Make a validator's identity, and print its public key
    Key {
        /// File for the secret; it must not exist
        #[arg(long, value_name = "FILE", default_value = "key")]
        out: PathBuf,
    },
    /// Write a specification that lacks only the group key
    Draft(DraftArgs),
    /// Generate the group key together with the draft's other validators
    Ceremony(CeremonyArgs),
}

/// `cess genesis draft`.
#[derive(Args, Clone, Debug)]
pub struct DraftArgs {
    /// Kind of chain to start from
    #[arg(long, value_enum, default_value = "testnet")]
    pub preset: Preset,
    /// Name of the chain, for people
    #[arg(long)]
    pub name: Option<String>,
    /// EIP-155 chain id, which no other chain has
    #[arg(long)]
    pub chain_id: Option<u64>,
    /// A validator of the first committee: its public key, its address, who gets its fees
    #[arg(long = "validator", value_name = "KEY@IP:PORT=ACCOUNT", required = true, value_parser = parse_validator)]
    pub validators: Vec<ValidatorSpec>,
    /// Coins that an account begins with
    #[arg(long = "allocate", value_name = "ACCOUNT=COINS", value_parser = parse_allocation)]
    pub allocations: Vec<Allocation>,
    /// File to write; standard output without
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `cess genesis ceremony`.
#[derive(Args, Clone, Debug)]
pub struct CeremonyArgs {
    /// The draft; all validators have the very same
    #[arg(long, value_name = "FILE")]
    pub draft: PathBuf,
    /// File with this validator's secret key
    #[arg(long, value_name = "FILE", default_value = "key")]
    pub key: PathBuf,
    /// Where the others reach this one; the draft names its public address
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Folder for `genesis.toml` and `share`
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub out: PathBuf,
    /// Seconds to stay for others who are not done
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub stay_s: u64,
}
