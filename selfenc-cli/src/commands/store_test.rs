use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use selfenc::async_trait;
use selfenc::store::{Backend, Corner, Durability, Error, ErrorKind, OpenMode, Result as StoreResult};
use selfenc_backend_tests::{CASES, Harness, Options, Report, Row, Scale, Status};

use crate::corners::{Corners, no_corner};
use crate::exit::{Failure, Result};
use crate::progress::Steps;
use crate::stores::UrlArg;
use crate::text::count;
use crate::ui::{Ui, print, print_json_text};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc store test file:/mnt/backup/chunks
  selfenc store test file:/mnt/new-disk --full --json > report.json
  selfenc store test --filter durability

Runs the suite that every backend must pass, on the very disk, mount or service that
the URL names. It works in a corner of its own, 'selfenc-test-' and 16 hex digits in
the folder, and removes it in the end, also after Ctrl-C. The data of a store that is
there is neither read nor changed, and there need not be one yet: a folder will do.
It needs about 200 MiB of free space.

Prints what the store promises and how many cases of each group it passed. 'Weaker'
is a store that declares less than others and keeps to it; 'not exercised' is what
can only be tried from below the store. Exits with 5 if a case fails.")]
pub(crate) struct StoreTest {
    #[command(flatten)]
    store: UrlArg,

    /// Test for minutes: many pages, the longest chunks
    #[arg(long)]
    full: bool,

    /// Test for hours
    #[arg(long, conflicts_with = "full")]
    soak: bool,

    /// Where everything random comes from: the seed of a failed run shows the failure again
    #[arg(long, value_name = "N", default_value_t = Options::new().seed)]
    seed: u64,

    /// Run only the cases whose 'group::name' holds this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,

    /// Print the report as JSON, with a row for each case
    #[arg(long)]
    json: bool,
}

impl StoreTest {
    fn scale(&self) -> Scale {
        match (self.full, self.soak) {
            (_, true) => Scale::Soak,
            (true, _) => Scale::Full,
            _ => Scale::Quick,
        }
    }
}

pub(crate) async fn run(args: StoreTest, ui: Ui, corners: Corners) -> Result<()> {
    let cases = CASES.iter().filter(|case| case.full_name().contains(&args.filter)).count();
    if cases == 0 {
        return Err(Failure::usage(format!("no case has '{}' in its name", args.filter)).hint(groups()));
    }
    let harness = InCorners { url: args.store.url()?, corners, current: Mutex::default() };
    // What is wrong with the URL or the place itself is no fault of the store.
    harness.open().await.map_err(|e| no_corner(&harness.url, e))?;
    let steps = Steps::new(ui, "testing", cases as u64);
    let options = Options::new().with_scale(args.scale()).with_seed(args.seed).with_filter(&args.filter);
    let options = options.with_progress({
        let steps = steps.clone();
        move |row| steps.next(&row.case)
    });
    let report = selfenc_backend_tests::run(&harness, &options).await;
    steps.done();
    if args.json {
        print_json_text(&report.to_json())?;
    } else {
        print(&report.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    }
    verdict(&report, args.scale())
}

fn verdict(report: &Report, scale: Scale) -> Result<()> {
    if let Err(e) = &report.capabilities {
        return Err(Failure::no_store(format!("the store could not be opened: {e}")));
    }
    let failed: Vec<_> = report.rows.iter().filter(|row| row.status == Status::Failed).collect();
    let Some(first) = failed.first() else {
        let tried = |row: &Row| !matches!(row.status, Status::NotExercised | Status::LargerScale);
        return if report.rows.iter().any(tried) { Ok(()) } else { Err(nothing_tried(report, scale)) };
    };
    let larger = match scale {
        Scale::Quick => "",
        Scale::Full => " --full",
        Scale::Soak => " --soak",
    };
    let again = format!("to see one again: --seed {}{larger} --filter {}", report.seed, first.case);
    let full = failed.iter().any(|row| row.detail.contains("no space left"));
    let room = if full { "; the suite needs about 200 MiB free" } else { "" };
    let line = format!("{} of {} failed", failed.len(), count(report.rows.len() as u64, "case"));
    Err(Failure::faulty_store(line).hint(again + room))
}

fn nothing_tried(report: &Report, scale: Scale) -> Failure {
    let hint = match scale {
        _ if report.count(Status::LargerScale) == 0 => "give another --filter",
        Scale::Quick => "give --full or --soak, or another --filter",
        Scale::Full | Scale::Soak => "give --soak, or another --filter",
    };
    Failure::usage("none of these cases could be tried here").hint(hint)
}

fn groups() -> String {
    let mut groups: Vec<_> = CASES.iter().map(|case| case.group).collect();
    groups.dedup();
    format!("the groups are {}", groups.join(", "))
}

/// Stores in corners of a live one. Each is removed when the next is made: a case that failed may have
/// left tasks that still use it, and then it is tried again later.
#[derive(Debug)]
struct InCorners {
    url: String,
    corners: Corners,
    current: Mutex<Option<Arc<Corner>>>,
}

impl InCorners {
    async fn again(&self) -> StoreResult<Arc<dyn Backend>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match current {
            Some(corner) => corner.open(OpenMode::Existing).await,
            None => Err(Error::new(ErrorKind::ContainerMissing, "open", "no corner was made yet")),
        }
    }
}

#[async_trait]
impl Harness for InCorners {
    async fn open(&self) -> StoreResult<Arc<dyn Backend>> {
        // What cannot be removed now is told at the end, if it still cannot be then.
        self.corners.remove().await;
        let corner = self.corners.make(&self.url).await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&corner));
        corner.open(OpenMode::Create).await
    }

    async fn reopen(&self) -> Option<StoreResult<Arc<dyn Backend>>> {
        Some(self.again().await)
    }

    async fn second(&self) -> Option<StoreResult<Arc<dyn Backend>>> {
        match self.again().await {
            // A volatile store's URL says where to make one, not where one is.
            Ok(store) if store.capabilities().durability == Durability::Volatile => None,
            opened => Some(opened),
        }
    }
}
