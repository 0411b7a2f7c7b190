//! Words for what becomes of a Temporary Access Pass. All are stored by their word; the pass itself is stored nowhere.

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value there is.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word in outputs and in the ledger.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// Reads a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == word)
            }
        }
    };
}

words! {
    /// What became of the wish to make a pass. No outcome on file means: maybe made, maybe later.
    PassOutcome {
        /// Made, and in the operator's file.
        Issued "issued",
        /// Graph answered that it will not, and none of ours is there.
        Refused "refused",
        /// It never left, or the server had not begun with it.
        NotSent "not-sent",
        /// It was made and nobody has it: Graph shows a pass once, and it did not get into the file. It was taken away.
        Lost "lost",
        /// Nothing of it was seen until it could not come any more.
        Absent "absent",
    }
}

words! {
    /// How a pass that was issued ended, as far as we saw.
    PassEnding {
        /// Taken away by us.
        Revoked "revoked",
        /// Its time was over.
        Expired "expired",
        /// It could be used once, and was.
        Used "used",
        /// It was not there any more.
        Gone "gone",
    }
}
