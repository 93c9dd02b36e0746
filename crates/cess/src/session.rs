//! Resolve which nodes a command asks, which account acts, and where its files are.

use crate::{
    cli::Globals,
    devnet::{Description, Folder},
    folders,
    nodes::{Chain, Nodes},
    passphrase, pin,
};
use alloy_primitives::Address;
use anyhow::{Context, Result, bail};
use client::{
    Client, ClientConfig, Keys,
    keys::{keystore_address, load_keystore},
};
use jsonrpsee::{core::client::ClientT, http_client::HttpClientBuilder, rpc_params};
use std::{net::Ipv4Addr, path::PathBuf, sync::Arc};
use transport::{PeerConfig, PeerTransport};

/// What a command works with.
pub struct Session {
    globals: Globals,
    devnet: Option<(Folder, Description)>,
    urls: Vec<String>,
    /// The chain.
    pub chain: Arc<Nodes>,
}

/// Whose keys a command uses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Account {
    /// Those in an encrypted file.
    Keystore(PathBuf),
    /// A devnet's first development account.
    Development,
}

impl Session {
    /// Finds the nodes: those of `--rpc`, of `--devnet`, or of the devnet that was started last.
    pub fn open(globals: &Globals) -> Result<Self> {
        Self::with(globals, |nodes| nodes)
    }

    /// The same for a command that only reads what was stored: it works on, with a warning, when the chain stands still.
    pub fn reading(globals: &Globals) -> Result<Self> {
        Self::with(globals, Nodes::reading)
    }

    fn with(globals: &Globals, kind: impl FnOnce(Nodes) -> Nodes) -> Result<Self> {
        let devnet = devnet(globals)?;
        let urls = match (&globals.rpc, &devnet) {
            (Some(url), _) => vec![url.clone()],
            (None, Some((_, description))) => description.rpc_urls().into_iter().map(str::to_string).collect(),
            (None, None) => unreachable!("without --rpc there is a devnet"),
        };
        let chain = Arc::new(kind(Nodes::new(&urls, chain(globals, devnet.as_ref(), &urls)?)?));
        Ok(Self { globals: globals.clone(), devnet, urls, chain })
    }

    /// Whether results are for programs.
    pub fn json(&self) -> bool {
        self.globals.json
    }

    /// The devnet that the command works on, if it is one.
    pub fn devnet(&self) -> Option<&Description> {
        self.devnet.as_ref().map(|(_, description)| description)
    }

    /// Folder of the journals of unfinished uploads.
    pub fn uploads(&self) -> Result<PathBuf> {
        let base = match (&self.globals.data, &self.devnet) {
            (Some(data), _) => data.clone(),
            (None, Some((folder, _))) => folder.path().join("client"),
            (None, None) => folders::state()?,
        };
        Ok(base.join("uploads"))
    }

    /// What the node says of itself.
    pub async fn status(&self) -> Result<rpc::Status> {
        let mut last = None;
        for url in &self.urls {
            let client = HttpClientBuilder::default().build(url);
            let client = client.with_context(|| format!("{url} is no address of a node"))?;
            match client.request("cess_status", rpc_params![]).await {
                Ok(status) => return Ok(status),
                Err(error) => last = Some((url, error)),
            }
        }
        let (url, error) = last.expect("there is at least one node");
        let advice = format!("the node at {url} does not answer: check that it runs, or name another with --rpc");
        Err(error).context(advice)
    }

    /// The account that acts, without unlocking it.
    pub fn address(&self) -> Result<Address> {
        Ok(match self.account()? {
            Account::Keystore(path) => keystore_address(&path)?,
            Account::Development => Keys::devnet(0).address(),
        })
    }

    /// The keys of the account that acts; asks for the keystore's passphrase.
    pub async fn keys(&self) -> Result<Keys> {
        match self.account()? {
            Account::Development => Ok(Keys::devnet(0)),
            Account::Keystore(path) => {
                // A missing file is worth knowing before a passphrase is typed.
                keystore_address(&path)?;
                let passphrase = passphrase::existing(&self.globals, &path)?;
                // Deriving the key takes a moment on purpose.
                let keys = tokio::task::spawn_blocking(move || load_keystore(&path, &passphrase, 0)).await?;
                Ok(keys?)
            }
        }
    }

    /// A client that acts for the account.
    pub async fn client(&self) -> Result<Client> {
        let keys = self.keys().await?;
        let address = (Ipv4Addr::UNSPECIFIED, 0).into();
        let transport = PeerTransport::bind(rand::random(), address, PeerConfig::default()).await?;
        Ok(Client::new(self.chain.clone(), Arc::new(transport), keys, ClientConfig::default()).await?)
    }

    fn account(&self) -> Result<Account> {
        if let Some(path) = &self.globals.keystore {
            return Ok(Account::Keystore(path.clone()));
        }
        if self.devnet.is_some() {
            return Ok(Account::Development);
        }
        let path = folders::keystores(&self.globals)?.join("default.json");
        if !path.exists() {
            bail!("no account: make one with `cess account new`, or name its keystore with --keystore FILE");
        }
        Ok(Account::Keystore(path))
    }
}

/// The devnet that a command means: without `--rpc`, there has to be one.
fn devnet(globals: &Globals) -> Result<Option<(Folder, Description)>> {
    let folder = match (&globals.devnet, &globals.rpc) {
        (Some(dir), _) => Folder::of_option(dir)?,
        (None, Some(_)) => return Ok(None),
        (None, None) => match Folder::last() {
            Ok(folder) => folder,
            Err(_) => bail!("no node to ask: start a devnet with `cess devnet`, or name a node with --rpc URL"),
        },
    };
    let description = Description::read(folder.path())?;
    Ok(Some((folder, description)))
}

/// The chain that is believed: that of the devnet, or what is kept of the node that `--rpc` names.
fn chain(globals: &Globals, devnet: Option<&(Folder, Description)>, urls: &[String]) -> Result<Chain> {
    if let Some((folder, _)) = devnet {
        return Ok(Chain::Known(Arc::new(folder.spec()?)));
    }
    let [url, ..] = urls else { bail!("no node is named: give the URL of one's RPC") };
    // The devnet that was started last needs no pin, even if it is named by its URL.
    if let Ok(folder) = Folder::last()
        && let (Ok(description), Ok(spec)) = (Description::read(folder.path()), folder.spec())
        && description.rpc_urls().contains(&url.trim_end_matches('/'))
    {
        return Ok(Chain::Known(Arc::new(spec)));
    }
    let data = globals.data.clone().map_or_else(folders::data, Ok)?;
    Ok(Chain::Pinned(pin::path(&data, url)))
}
