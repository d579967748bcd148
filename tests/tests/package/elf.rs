//! How each program in the package is linked: for CentOS 7, and so that nobody gets between (promise 25).

use std::fs;
use std::path::{Path, PathBuf};

use goblin::elf::Elf;
use goblin::elf::dynamic::{DF_1_NODELETE, DF_1_NOW, DF_1_PIE};
use goblin::elf::header::{EM_X86_64, ET_DYN};
use goblin::elf::note::NT_GNU_ABI_TAG;
use goblin::elf::program_header::{PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use support::package::{Program, inside, payload, programs};

use crate::aarch64;

/// CentOS 7's.
const GLIBC: (u32, u32) = (2, 17);
const KERNEL: [u32; 3] = [3, 10, 0];
/// All that may be loaded: glibc's own, and for the module libpam, at the version that all have.
const LIBRARIES: [&str; 5] =
    ["libc.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
const LIBPAM: (&str, &str) = ("libpam.so.0", "LIBPAM_1.0");
const ELF: &[u8] = b"\x7fELF";

/// The files of the package, or of that for another architecture.
fn root() -> PathBuf {
    if std::env::var_os("ARCH").is_some() { aarch64::payload() } else { payload() }
}

/// Runs a check on each program as it is packed.
fn each(check: impl Fn(Program, &Elf<'_>, &[u8])) {
    let root = root();
    for program in programs() {
        let bytes = fs::read(inside(&root, &program.path())).unwrap();
        check(program, &Elf::parse(&bytes).unwrap(), &bytes);
    }
}

fn is_module(program: Program) -> bool {
    program.name == "pam_iam.so"
}

/// `GLIBC_2.3.4` is 2.3, which suffices to compare with 2.17.
fn glibc(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

#[test]
fn every_elf_in_the_package_is_a_listed_program() {
    let root = root();
    let elf = |path: &PathBuf| path.is_file() && fs::read(path).unwrap().starts_with(ELF);
    let mut found: Vec<_> = files(&root).into_iter().filter(elf).collect();
    let mut listed: Vec<_> = programs().iter().map(|program| inside(&root, &program.path())).collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
}

#[test]
fn no_symbol_is_newer_than_glibc_2_17() {
    each(|program, elf, _| {
        let mut seen = 0;
        for library in elf.verneed.iter().flat_map(|needed| needed.iter()) {
            let file = elf.dynstrtab.get_at(library.vn_file).unwrap();
            for version in library.iter() {
                let version = elf.dynstrtab.get_at(version.vna_name).unwrap();
                let fits = glibc(version).is_some_and(|version| version <= GLIBC);
                assert!(fits || (file, version) == LIBPAM, "{}: {file} {version}", program.name);
                seen += 1;
            }
        }
        assert_eq!(seen > 0, program.linked == "dynamic", "{} is not {}", program.name, program.linked);
    });
}

#[test]
fn only_listed_libraries_are_loaded_and_from_their_usual_place() {
    each(|program, elf, _| {
        let known =
            |library: &&str| LIBRARIES.contains(library) || (is_module(program) && *library == LIBPAM.0);
        assert!(elf.libraries.iter().all(known), "{}: {:?}", program.name, elf.libraries);
        assert_eq!(elf.libraries.is_empty(), program.linked == "static", "{}", program.name);
        assert!(elf.rpaths.is_empty() && elf.runpaths.is_empty(), "{}", program.name);
        let interpreter = elf.program_headers.iter().any(|header| header.p_type == PT_INTERP);
        assert_eq!(interpreter, program.linked == "dynamic" && !is_module(program), "{}", program.name);
    });
}

/// As the linker marks it. glibc makes it read-only at the start of a program, and musl of a static one does not.
#[test]
fn all_is_position_independent_bound_at_once_and_read_only_then() {
    each(|program, elf, _| {
        let flags = elf.dynamic.as_ref().unwrap().info.flags_1;
        assert_eq!(elf.header.e_type, ET_DYN, "{}", program.name);
        assert_eq!(flags & DF_1_PIE == 0, is_module(program), "{}", program.name);
        assert_ne!(flags & DF_1_NOW, 0, "{} binds lazily", program.name);
        assert_eq!(flags & DF_1_NODELETE != 0, is_module(program), "{}: -z nodelete", program.name);
        let has = |kind: u32| elf.program_headers.iter().any(|header| header.p_type == kind);
        assert!(has(PT_GNU_RELRO), "{} has no RELRO", program.name);
        let stack = elf.program_headers.iter().find(|header| header.p_type == PT_GNU_STACK);
        assert!(stack.is_some_and(|stack| stack.p_flags & PF_X == 0), "{}: executable stack", program.name);
        let both = |flags: u32| flags & (PF_W | PF_X) == PF_W | PF_X;
        let loaded = elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD);
        assert!(loaded.into_iter().all(|header| !both(header.p_flags)), "{}", program.name);
    });
}

/// What glibc was configured for: it refuses to start on an older kernel. musl does not say: it does without what is
/// missing of kernels since 2.6.
#[test]
fn no_program_needs_a_newer_kernel_than_3_10() {
    each(|program, elf, bytes| {
        let notes = elf.iter_note_headers(bytes).into_iter().flatten().map(Result::unwrap);
        let mut tags = notes.filter(|note| note.n_type == NT_GNU_ABI_TAG && note.name == "GNU");
        let tag = tags.next();
        let has_musl = program.linked == "static" && elf.header.e_machine == EM_X86_64;
        assert_eq!(tag.is_none(), is_module(program) || has_musl, "{}", program.name);
        let Some(tag) = tag else { return };
        let words: Vec<_> =
            tag.desc.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
        let linux = 0;
        assert_eq!(words[0], linux, "{}", program.name);
        assert!(words[1..4] <= KERNEL[..], "{} needs Linux {:?}", program.name, &words[1..4]);
    });
}

#[test]
fn nothing_tells_who_built_it_and_where() {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME")).unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap().to_owned();
    each(|program, elf, bytes| {
        for place in [format!("{home}/"), format!("{sources}/")] {
            let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{} has {place} in it", program.name);
        }
        assert!(elf.syms.is_empty(), "{} is not stripped", program.name);
    });
}
