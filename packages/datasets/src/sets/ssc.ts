/**
 * The Spiking Speech Commands: 35 spoken words of Google's Speech Commands as spikes on 700 channels, in SHD's format (Cramer et al.,
 * 2020). It reads ssc_train.h5 (75,466 recordings) and ssc_test.h5 (20,382); ssc_valid.h5 is not used.
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
