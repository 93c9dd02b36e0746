//! Make a new devnet: keys, chain specification, configurations, ports.

use super::{
    accounts,
    description::{Description, Kind, Role, S3, write_whole},
    folder::Folder,
    ports,
};
use crate::{
    config,
    gateway::{CacheFile, GatewayFile, Owner, make_key},
    genesis::{DEVNET_CHAIN_ID, Preset, run_here, unix_ms},
    miner::{MinerFile, Operator},
    secret,
    validator::ValidatorFile,
};
use alloy_primitives::{Address, Bytes, U256};
use anyhow::{Context, Result};
use chain::identity;
use client::{Keys, Region};
use rpc::RpcConfig;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use types::{
    ChainSpec,
    spec::{Allocation, AuditSpec, StorageSpec, ValidatorSpec},
};

/// Whole coins of each account at genesis.
const COINS: u64 = 1_000_000;
/// Ports of a validator: committee and RPC.
const VALIDATOR_PORTS: u16 = 2;
/// Ports of a gateway: S3 and metrics.
const GATEWAY_PORTS: u16 = 2;
/// Lots that each miner pledges.
const LOTS: u32 = 16;
/// Miners that fill a lot with idle content: a GiB in all, so that a devnet takes little of the disk.
const PLOTTING_MINERS: u16 = 4;
/// First of the networks that miners declare: autonomous systems for private use (RFC 6996).
const FIRST_NETWORK: u32 = 64_512;

/// How large a devnet is, where its miners say that they are, and how often they are audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<'a> {
    /// Validators.
    pub validators: u16,
    /// Storage miners.
    pub miners: u16,
    /// Time between two audit rounds.
    pub audit_round_s: u32,
    /// Regions that miners declare in turn, at least one.
    pub regions: &'a [Region],
    /// Networks that miners of each region declare in turn, at least one.
    pub networks: u16,
}

impl Size<'_> {
    /// Where a miner says that it is: the miners of a region are spread over all networks, and the other way round.
    fn place(self, index: u16) -> (Region, u32) {
        let turn = usize::from(index) / self.regions.len();
        let place = usize::from(index) % self.regions.len();
        let network = (place + turn) % usize::from(self.networks);
        (self.regions[place], FIRST_NETWORK + network as u32)
    }

    fn validator_ports(self, index: u16, first: u16) -> (SocketAddr, SocketAddr) {
        let port = first + index * VALIDATOR_PORTS;
        (local(port), local(port + 1))
    }

    fn miner_port(self, index: u16, first: u16) -> SocketAddr {
        local(first + self.validators * VALIDATOR_PORTS + index)
    }

    /// There is a gateway where anything can be stored.
    fn gateways(self) -> u16 {
        u16::from(self.miners > 0)
    }

    fn gateway_ports(self, first: u16) -> (SocketAddr, SocketAddr) {
        let port = first + self.validators * VALIDATOR_PORTS + self.miners;
        (local(port), local(port + 1))
    }

    fn ports(self) -> u16 {
        self.validators * VALIDATOR_PORTS + self.miners + self.gateways() * GATEWAY_PORTS
    }
}

/// Makes everything a new devnet needs in an empty folder. The specification is written last: a folder with one is
/// complete.
pub fn create(folder: &Folder, size: Size<'_>) -> Result<Description> {
    let first = ports::free_block(size.ports())?;
    let mut keys: Vec<[u8; 32]> = (0..size.validators).map(|_| rand::random()).collect();
    keys.sort_by_key(identity);
    let draft = specification(size, first, &keys);
    let (output, shares) = run_here(&draft, &keys)?;
    let spec = ChainSpec { output, ..draft };
    for (index, (key, share)) in (0..).zip(keys.iter().zip(&shares)) {
        write_validator(folder, size, first, index, key, share)?;
    }
    let nodes: Vec<String> = (0..size.validators).map(|index| http(size.validator_ports(index, first).0)).collect();
    for index in 0..size.miners {
        write_miner(folder, size, first, index, &nodes)?;
    }
    let gateway = (size.gateways() > 0).then(|| write_gateway(folder, size, first, &nodes)).transpose()?;
    let description = describe(folder, size, first, gateway);
    description.write(folder.path())?;
    let genesis = folder.genesis();
    write_whole(&genesis, spec.to_toml().as_bytes())
        .with_context(|| format!("{} cannot be written", genesis.display()))?;
    Ok(description)
}

fn specification(size: Size<'_>, first: u16, keys: &[[u8; 32]]) -> ChainSpec {
    let validators = (0..).zip(keys).map(|(index, key)| ValidatorSpec {
        public_key: identity(key),
        beneficiary: accounts::beneficiary(u32::from(index)).address(),
        address: size.validator_ports(index, first).1.to_string(),
    });
    let developers = accounts::development().into_iter().map(|account| account.address);
    let operators = (0..size.miners).map(|miner| accounts::operator(u32::from(miner)).address());
    let preset = Preset::Devnet.spec(unix_ms());
    ChainSpec {
        storage: StorageSpec {
            audits: Some(AuditSpec::devnet_with(u64::from(size.audit_round_s) * 1_000)),
            ..preset.storage
        },
        validators: validators.collect(),
        alloc: developers.chain(operators).map(fund).collect(),
        ..preset
    }
}

fn fund(address: Address) -> Allocation {
    let coin = U256::from(10u64).pow(U256::from(18u64));
    Allocation { address, balance: U256::from(COINS) * coin }
}

fn write_validator(
    folder: &Folder,
    size: Size<'_>,
    first: u16,
    index: u16,
    key: &[u8; 32],
    share: &Bytes,
) -> Result<()> {
    let name = name(Kind::Validator, index);
    let dir = folder.role(&name);
    let (rpc, listen) = size.validator_ports(index, first);
    let config = ValidatorFile {
        genesis: PathBuf::from("../genesis.toml"),
        data: PathBuf::from("data"),
        key_file: PathBuf::from("key"),
        share_file: Some(PathBuf::from("share")),
        beneficiary: None,
        listen,
        history_blocks: 1024,
        log: config::log_level(),
        rpc: RpcConfig::new(rpc),
    };
    make_dir(&dir)?;
    secret::write(&dir.join("key"), &hex::encode(key))?;
    secret::write(&dir.join("share"), &hex::encode(share))?;
    write_config(&folder.config(&name), &config)
}

fn write_miner(folder: &Folder, size: Size<'_>, first: u16, index: u16, nodes: &[String]) -> Result<()> {
    let name = name(Kind::Miner, index);
    let dir = folder.role(&name);
    let mut nodes = nodes.to_vec();
    // Every miner asks another validator first.
    nodes.rotate_left(usize::from(index % size.validators));
    let (region, network) = size.place(index);
    let config = MinerFile {
        nodes,
        genesis: Some(PathBuf::from("../genesis.toml")),
        data: PathBuf::from("data"),
        listen: size.miner_port(index, first),
        tcp: true,
        announce: Vec::new(),
        relay: None,
        region: region.to_string(),
        network,
        lots: LOTS,
        plot_threads: Some(1),
        plot_lots: Some(u32::from(index < PLOTTING_MINERS)),
        rebuild_stripes: None,
        help_stripes: None,
        log: config::log_level(),
        operator: Operator::KeyFile(PathBuf::from("operator.key")),
    };
    make_dir(&dir)?;
    secret::write(&dir.join("operator.key"), &hex::encode(accounts::operator(u32::from(index)).to_bytes()))?;
    write_config(&folder.config(&name), &config)
}

/// Writes the gateway of the first development account, with a key.
fn write_gateway(folder: &Folder, size: Size<'_>, first: u16, nodes: &[String]) -> Result<S3> {
    let name = name(Kind::Gateway, 0);
    let dir = folder.role(&name);
    let (listen, metrics) = size.gateway_ports(first);
    let config = GatewayFile {
        nodes: nodes.to_vec(),
        genesis: Some(PathBuf::from("../genesis.toml")),
        data: PathBuf::from("data"),
        listen,
        metrics,
        region: "us-east-1".into(),
        territory: None,
        connections_max: 1024,
        lifecycle_day_s: 24 * 3600,
        log: config::log_level(),
        cache: CacheFile { memory_mb: 64, disk_mb: 256 },
        tls: None,
        owner: Owner::Devnet(0),
    };
    make_dir(&dir)?;
    write_config(&folder.config(&name), &config)?;
    let (access_key_id, secret_access_key) = make_key(&dir.join("data"), &Keys::devnet(0))?;
    Ok(S3 { url: http(listen), metrics_url: http(metrics), access_key_id, secret_access_key })
}

fn describe(folder: &Folder, size: Size<'_>, first: u16, gateway: Option<S3>) -> Description {
    let role = |kind: Kind, index: u16, endpoints: Vec<String>| {
        let name = name(kind, index);
        Role { data: folder.role(&name), name, kind, pid: None, endpoints }
    };
    let validators = (0..size.validators).map(|index| {
        let (rpc, listen) = size.validator_ports(index, first);
        role(Kind::Validator, index, vec![http(rpc), format!("ws://{rpc}"), format!("tcp://{listen}")])
    });
    let miners = (0..size.miners).map(|index| {
        let listen = size.miner_port(index, first);
        role(Kind::Miner, index, vec![format!("tcp://{listen}"), format!("quic://{listen}")])
    });
    let gateways = gateway.iter().map(|s3| role(Kind::Gateway, 0, vec![s3.url.clone(), s3.metrics_url.clone()]));
    let gateways: Vec<Role> = gateways.collect();
    let rpc = size.validator_ports(0, first).0;
    Description {
        chain_id: DEVNET_CHAIN_ID,
        rpc_url: http(rpc),
        ws_url: format!("ws://{rpc}"),
        ready: false,
        supervisor_pid: None,
        mnemonic: accounts::MNEMONIC.into(),
        accounts: accounts::development(),
        gateway,
        roles: validators.chain(miners).chain(gateways).collect(),
    }
}

fn name(kind: Kind, index: u16) -> String {
    format!("{}-{index}", kind.verb())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{} cannot be created", path.display()))
}

fn write_config<T: serde::Serialize>(path: &Path, config: &T) -> Result<()> {
    let text = toml::to_string_pretty(config).expect("a configuration has a TOML form");
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn miners_of_every_region_are_in_every_network() {
        for (regions, networks) in [(&["DE", "FR", "US", "JP"][..], 3), (&["DE", "FR", "US"], 3), (&["DE", "FR"], 4)] {
            let regions: Vec<Region> = regions.iter().map(|code| code.parse().unwrap()).collect();
            let miners = regions.len() as u16 * networks;
            let size = Size { validators: 4, miners, audit_round_s: 60, regions: &regions, networks };
            let places: BTreeSet<_> = (0..miners).map(|index| size.place(index)).collect();
            assert_eq!(places.len(), usize::from(miners), "{places:?}");
        }
    }
}
