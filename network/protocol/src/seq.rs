//! JSON arrays read as structs, tolerant of members that later versions append.

/// Implements `Deserialize` for a struct that is an array on the wire: required members first, then
/// optional ones that may be missing or null; what follows is ignored.
macro_rules! array_struct {
    ($name:ident $(<$life:lifetime>)? , $expecting:literal, [$($req:ident),*], [$($opt:ident),*]) => {
        impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor $(<$life>(std::marker::PhantomData<&$life ()>))?;
                impl<'de $(: $life, $life)?> serde::de::Visitor<'de> for Visitor $(<$life>)? {
                    type Value = $name $(<$life>)?;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_seq<A: serde::de::SeqAccess<'de>>(
                        self,
                        mut seq: A,
                    ) -> Result<Self::Value, A::Error> {
                        $(let $req = seq.next_element()?.ok_or_else(|| {
                            serde::de::Error::custom(concat!("expected ", $expecting))
                        })?;)*
                        $(let $opt = seq.next_element::<Option<_>>()?.flatten();)*
                        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                        Ok($name { $($req,)* $($opt,)* })
                    }
                }
                deserializer.deserialize_seq($crate::seq::array_struct!(@visitor Visitor $(<$life>)?))
            }
        }
    };
    (@visitor $v:ident <$life:lifetime>) => { $v(std::marker::PhantomData) };
    (@visitor $v:ident) => { $v };
}
pub(crate) use array_struct;
