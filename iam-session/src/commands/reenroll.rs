//! `iam-session reenroll`: a new consent for an account, with the client it has. Touches what `enroll` touches.

use clap::Parser;

use super::device_flow::QrArgs;
use super::enroll::{self, EnrollArgs};
use crate::outcome::Outcome;

/// Ask for a new consent: the same account, the same client and, unless -s names others, the same scopes.
#[derive(Debug, Parser)]
#[command(name = "reenroll", bin_name = "iam-session reenroll")]
pub(crate) struct ReenrollArgs {
    /// The account, or the issuer's URL if you have one there
    #[arg(value_name = "NAME")]
    account: String,
    /// Scopes to ask for instead; may be repeated, or name several; 'max' for all that the issuer offers
    #[arg(short, long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    qr: QrArgs,
    /// Print one object per event on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: ReenrollArgs) -> Outcome {
    let scopes = args.scopes;
    enroll::again_for(args.account, EnrollArgs::naming(scopes, args.qr, args.json))
}
