// Runs the .onnx files that FOLDER/list.txt names in onnxruntime and compares what comes out with Duet's own:
// node run.cjs FOLDER_OF_NODE_MODULES FOLDER
const fs = require('fs');
const path = require('path');
const [packages, folder] = process.argv.slice(2);
const ort = require(path.join(packages, 'node_modules', 'onnxruntime-node'));

function readNpy(file) {
  const bytes = fs.readFileSync(file);
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + length);
  if (!header.includes("'<f4'")) throw new Error(`${file} is not f32: ${header}`);
  const dims = header.match(/\(([^)]*)\)/)[1].split(',').filter(s => s.trim()).map(Number);
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 10 + length, bytes.byteOffset + bytes.length));
  return { dims, data };
}

async function main() {
  let worst = 0, failures = 0;
  const rows = fs.readFileSync(path.join(folder, 'list.txt'), 'utf8').trim().split('\n').map(l => l.split(' '));
  const sessions = new Map();
  for (const [name, k] of rows) {
    try {
      if (!sessions.has(name))
        sessions.set(name, await ort.InferenceSession.create(path.join(folder, `${name}.onnx`), { intraOpNumThreads: 1 }));
      const input = readNpy(path.join(folder, `${name}.${k}.in.npy`));
      const wanted = readNpy(path.join(folder, `${name}.${k}.out.npy`));
      const { output } = await sessions.get(name).run({ input: new ort.Tensor('float32', input.data, input.dims) });
      if (String(output.dims) !== String(wanted.dims)) throw new Error(`shape ${output.dims}, wanted ${wanted.dims}`);
      let scale = 1, difference = 0;
      for (let i = 0; i < wanted.data.length; ++i) {
        scale = Math.max(scale, Math.abs(wanted.data[i]));
        const d = Math.abs(output.data[i] - wanted.data[i]);
        if (!(d <= difference) && !Number.isNaN(difference)) difference = d;  // a NaN stays
      }
      worst = Math.max(worst, difference / scale);
      if (!(difference / scale < 1e-4)) throw new Error(`differs by ${difference} of ${scale}`);
    } catch (error) {
      console.log(`${name} ${k}: ${error.message}`);
      ++failures;
    }
  }
  console.log(`${rows.length} runs, largest difference ${worst}, ${failures} failures`);
  process.exit(failures ? 1 : 0);
}
main();
