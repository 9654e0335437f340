// Type descriptors: what a copy has to know of a struct, written into linear memory by TypeScript when a runtime first
// meets the struct.
//
//   descriptor   ┌──────┬───────┬──────┬────────────────────┬────────────────────┬ ─ ─
//                │ size │ slots │ hook │ offset, descriptor │ offset, descriptor │
//                └──────┴───────┴──────┴────────────────────┴────────────────────┴ ─ ─
//   ref (12 B)   ┌─────────┬───────┬────────────┐
//                │ address │ guard │ generation │   address 0: refers to nothing
//                └─────────┴───────┴────────────┘

import { Address, PAGE_SHIFT } from "../memory/alignment";
import { Guard, generationOf } from "../memory/guard";
import { root } from "../memory/root";

@unmanaged
export class TypeDescriptor {
  size: u32;
  /** How many refs a record of this type holds, those of nested structs and arrays included. */
  slots: u32;
  /** 1 if records of this type have a destroy hook, which a copy would not have: then they are not copied. */
  hook: u32;

  /** The offset of ref `index` in the record. */
  slotOffset(index: u32): u32 {
    return load<u32>(changetype<usize>(this) + offsetof<TypeDescriptor>() + ((<usize>index) << 3));
  }

  /** The type that ref `index` refers to. */
  slotType(index: u32): TypeDescriptor {
    return changetype<TypeDescriptor>(
      load<usize>(changetype<usize>(this) + offsetof<TypeDescriptor>() + ((<usize>index) << 3) + 4),
    );
  }
}

/** A checked reference as it lies in a record. */
@unmanaged
export class Ref {
  address: Address;
  guard: Address;
  generation: u32;

  /** True while the record that it refers to lives. The bounds check keeps a forged guard from trapping. */
  get isLive(): bool {
    const end = (<u64>root().committedPages) << PAGE_SHIFT;
    return <u64>this.guard + offsetof<Guard>() <= end && generationOf(this.guard) == this.generation;
  }
}
if (offsetof<Ref>() != 12) ERROR("the struct layer lays out refs of 12 bytes");
