/**
 * The Spiking Speech Commands: 35 spoken words of Google's Speech Commands as spikes of 700 channels, in the files of SHD (Cramer et al.,
 * 2020). ssc_train.h5 and ssc_test.h5 are read, 75,466 and 20,382 recordings; ssc_valid.h5 is left.
 */
import type { Source } from "./options.ts"
import { heidelberg } from "./shd.ts"

/** The data set. */
export const ssc: Source = heidelberg({
  name: "ssc",
  description: "spoken words as spikes of 700 channels, 75,466 + 20,382",
  classes: 35,
  md5: { train: "d102be95e7144fcc0553d1f45ba94170", test: "a35ff1e9cffdd02a20eb850c17c37748" },
})
