//! Tests: everything that a command may put in the place of a file or folder.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// A home with a folder `precious` beside the folder `own`, which a command can change.
struct Scene {
    dir: tempfile::TempDir,
    own: Folder,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::TempDir::new().unwrap();
        for folder in ["own", "precious"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("precious/gold"), "gold").unwrap();
        let own = Folder::trusted(dir.path()).unwrap().open(Path::new("own")).unwrap();
        Scene { dir, own }
    }

    fn own(&self, name: &str) -> PathBuf {
        self.dir.path().join("own").join(name)
    }

    fn precious(&self) -> PathBuf {
        self.dir.path().join("precious")
    }

    fn is_precious_untouched(&self) -> bool {
        std::fs::read_dir(self.precious()).unwrap().count() == 1
            && std::fs::read_to_string(self.precious().join("gold")).unwrap() == "gold"
    }

    /// Puts everything that is not a regular file in the place of `file`, one after another.
    fn each_impostor(&self, mut check: impl FnMut(&str)) {
        let path = self.own("file");
        let gold = self.precious().join("gold");
        let fifo = |path: &Path| {
            fs::mknodat(fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        };
        let make: [(&str, &dyn Fn()); 6] = [
            ("link", &|| symlink(&gold, &path).unwrap()),
            ("dangling link", &|| symlink(self.precious().join("new"), &path).unwrap()),
            ("device", &|| symlink("/dev/zero", &path).unwrap()),
            ("fifo", &|| fifo(&path)),
            ("socket", &|| drop(std::os::unix::net::UnixListener::bind(&path).unwrap())),
            ("folder", &|| std::fs::create_dir_all(path.join("deep/er")).unwrap()),
        ];
        for (name, make) in make {
            make();
            check(name);
            self.own.remove(OsStr::new("file")).unwrap();
            assert!(path.symlink_metadata().is_err(), "{name} was not removed");
            assert!(self.is_precious_untouched(), "{name}");
        }
    }
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let scene = Scene::new();
    assert!(scene.own.read("file", 10).unwrap().is_none() && !scene.own.contains("file"));
    scene.each_impostor(|name| {
        let error = scene.own.read("file", 10).unwrap_err();
        assert!(is_damaged(&error) && error.to_string().contains("/own/file is "), "{name}: {error}");
        assert!(scene.own.contains("file"), "{name}");
    });
    std::fs::write(scene.own("file"), "0123456789").unwrap();
    assert_eq!(scene.own.read("file", 10).unwrap().unwrap(), b"0123456789");
    assert!(is_damaged(&scene.own.read("file", 9).unwrap_err()));
}

#[test]
fn a_writer_replaces_what_is_in_the_place_of_its_file() {
    let scene = Scene::new();
    let written = |name: &str| {
        assert_eq!(std::fs::symlink_metadata(scene.own("file")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(scene.own("file")).unwrap(), b"new", "{name}");
    };
    scene.each_impostor(|name| {
        scene.own.write("file", b"new").unwrap();
        written(name);
    });
    scene.each_impostor(|name| {
        scene.own.replace("file", b"new", Durability::Power).unwrap();
        written(name);
    });
    scene.each_impostor(|name| {
        scene.own.appendable("file").unwrap().write_all(b"new").unwrap();
        written(name);
    });
    scene.each_impostor(|_| drop(scene.own.lockable("file").unwrap()));
    std::fs::hard_link(scene.precious().join("gold"), scene.own("file")).unwrap();
    scene.own.write("file", b"new").unwrap();
    assert!(scene.is_precious_untouched(), "the file has a second name");
    std::fs::hard_link(scene.precious().join("gold"), scene.own("other.new")).unwrap();
    scene.own.replace("other", b"new", Durability::Process).unwrap();
    assert!(scene.is_precious_untouched(), "the staged file has a second name");
}

#[test]
fn a_record_is_written_into_the_reserved_file() {
    let scene = Scene::new();
    scene.own.reserve("exit").unwrap();
    assert!(!scene.own.contains("exit"), "reserved space is no record");
    let reserved = std::fs::metadata(scene.own("exit.new")).unwrap();
    scene.own.replace("exit", b"ended", Durability::Power).unwrap();
    let record = std::fs::metadata(scene.own("exit")).unwrap();
    assert_eq!(record.len(), 5);
    let inode = |file: &std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(file);
    assert_eq!(inode(&reserved), inode(&record), "another file was written");
}

#[test]
fn no_link_on_the_way_is_followed() {
    let scene = Scene::new();
    std::fs::create_dir(scene.precious().join("inner")).unwrap();
    symlink(scene.precious(), scene.own("way")).unwrap();
    let root = Folder::trusted(scene.dir.path()).unwrap();
    for below in ["own/way", "own/way/inner"] {
        assert!(is_damaged(&root.open(Path::new(below)).unwrap_err()), "{below}");
    }
    assert!(scene.own.open(Path::new("../precious")).is_err());
    let (made, repaired) = root.make(Path::new("own/way/inner")).unwrap();
    assert_eq!(repaired, Some(scene.own("way")));
    made.write("file", b"x").unwrap();
    assert!(!scene.precious().join("inner/file").exists() && scene.own("way/inner/file").exists());
}

#[test]
fn a_tree_is_removed_without_following_links_and_whatever_its_modes_and_depth() {
    let scene = Scene::new();
    let tree = scene.own("tree");
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    symlink(scene.precious(), tree.join("a/b/link")).unwrap();
    symlink(scene.precious(), tree.join("link")).unwrap();
    std::fs::write(tree.join("a/file"), "").unwrap();
    std::fs::set_permissions(tree.join("a/b"), std::fs::Permissions::from_mode(0o0)).unwrap();
    std::fs::set_permissions(tree.join("a"), std::fs::Permissions::from_mode(0o100)).unwrap();
    // Deeper than the number of descriptors that a process may have, and longer than any path.
    let mut deep = scene.own.make(Path::new("tree")).unwrap().0;
    for _ in 0..3000 {
        deep = deep.make(Path::new("d")).unwrap().0;
        deep.path = PathBuf::from("deep");
    }
    scene.own.remove(OsStr::new("tree")).unwrap();
    assert!(!tree.exists() && scene.is_precious_untouched());
    scene.own.remove(OsStr::new("tree")).unwrap();
}

#[test]
fn access_that_a_command_removed_is_restored() {
    let scene = Scene::new();
    let (inner, _) = scene.own.make(Path::new("a/b")).unwrap();
    inner.write("file", b"x").unwrap();
    for path in ["a/b/file", "a/b", "a"] {
        std::fs::set_permissions(scene.own(path), std::fs::Permissions::from_mode(0o0)).unwrap();
    }
    let (again, repaired) = scene.own.make(Path::new("a/b")).unwrap();
    assert_eq!(repaired, Some(scene.own("a")));
    assert_eq!(again.restore_files().unwrap(), Some(scene.own("a/b/file")));
    assert_eq!(again.read("file", 1).unwrap().unwrap(), b"x");
    assert_eq!(again.restore_files().unwrap(), None);
}
