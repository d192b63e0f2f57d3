/** MNIST: 70,000 handwritten digits of 28 × 28 (LeCun, Bottou, Bengio, Haffner, 1998). */
import { idxSource } from "./idx.ts"

export const mnist = idxSource({
  name: "mnist",
  description: "handwritten digits, 28×28, 60,000 + 10,000",
  classNames: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
  torchvision: "MNIST",
  base: "https://ossci-datasets.s3.amazonaws.com/mnist/",
  md5: {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
  },
})
