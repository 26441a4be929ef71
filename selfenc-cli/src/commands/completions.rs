use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::{Context, Result};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  selfenc completions bash > ~/.local/share/bash-completion/completions/selfenc
  selfenc completions zsh > ~/.zfunc/_selfenc
  selfenc completions fish > ~/.config/fish/completions/selfenc.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Prints the completions of `command`.
pub(crate) fn run(args: &Completions, mut command: Command) -> Result<()> {
    // Into memory first: the generator panics where its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "selfenc", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).context("cannot write to standard output")
}
