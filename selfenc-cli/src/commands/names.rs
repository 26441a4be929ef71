use clap::Args;
use futures::TryStreamExt;
use selfenc::store::{Expect, OpenMode, RootName, Swap};
use serde_json::json;

use crate::exit::{Failure, Result};
use crate::maps::no_such_name;
use crate::stores::StoreArg;
use crate::ui::{Lines, Ui};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc names
  selfenc names --store file:/mnt/backup/chunks --json")]
pub(crate) struct Names {
    #[command(flatten)]
    store: StoreArg,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn list(args: Names) -> Result<()> {
    let store = args.store.open(OpenMode::Existing).await?;
    let mut names: Vec<RootName> = store.names().try_collect().await?;
    names.sort_unstable();
    let mut out = Lines::new();
    for name in names {
        if args.json {
            out.json(&json!({ "name": name.as_str() }))?;
        } else {
            out.line(name.as_str())?;
        }
    }
    out.finish()
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc rm-name report

Only the name and its sealed map go. The chunks stay, for other maps may need them.")]
pub(crate) struct RmName {
    /// The name
    name: RootName,

    #[command(flatten)]
    store: StoreArg,
}

pub(crate) async fn remove(args: RmName, ui: Ui) -> Result<()> {
    let store = args.store.open(OpenMode::Existing).await?;
    let name = &args.name;
    let root = store.load(name).await?.ok_or_else(|| no_such_name(name, &*store))?;
    match store.swap(name, Expect::Version(root.version), None).await? {
        Swap::Done(_) => {
            ui.say(&format!("removed the name '{name}' from {}; its chunks stay", store.info()));
            Ok(())
        }
        Swap::Conflict(_) => {
            Err(Failure::new(format!("the name '{name}' was changed by somebody else meanwhile"))
                .hint("look what it is now, and run it again"))
        }
    }
}
