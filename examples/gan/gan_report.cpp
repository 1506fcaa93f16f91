// What a run leaves for people: the grids with a scrubber, curves, walks between pictures.
#include <filesystem>

#include <duet/nn/data/image_set.hpp>
#include <duet/nn/data/png.hpp>

#include "common/canvas.hpp"
#include "gan/gan_training.hpp"

namespace duet::examples {
namespace {

namespace fs = std::filesystem;

/// The grids in a folder, at most `most` of them, evenly chosen.
std::vector<std::string> grids_in(const fs::path& folder, std::size_t most) {
  std::vector<std::string> all, some;
  if (fs::exists(folder))
    for (const data::ImageFile& file : data::list_images(folder.string())) all.push_back(file.path);
  for (std::size_t i = 0; i < std::min(most, all.size()); ++i)
    some.push_back(all[all.size() <= most ? i : i * (all.size() - 1) / (most - 1)]);
  return some;
}

}  // namespace

void GanTraining::write_report() {
  Report report(flags_.model + (flags_.data.empty() ? std::string(" on drawn digits") : " on " + flags_.data));
  report.paragraph(fmt::format("{} steps of {} images in {}{}{}.", run_.step, flags_.batch, clock_text(run_.seconds()),
                               flags_.spectral_norm ? ", with spectral norm" : "",
                               flags_.ema ? ", pictures by the averaged weights" : ""));
  std::vector<Tensor> grids;
  std::vector<std::string> captions;
  for (const std::string& path : grids_in(run_.folder().path("grids"), 60)) {
    grids.push_back(data::read_png(path));
    captions.push_back(fs::path(path).stem().string() + ": the same 64 points of the latent space");
  }
  if (!grids.empty()) {
    report.heading("Pictures, epoch by epoch");
    report.scrubber(grids, captions);
  }
  Generator fixed(flags_.seed + 2);
  const Tensor walk = image_grid(fixed_pictures(latent_walks(generator_, 5, 12, fixed)), 12, 2);
  data::write_png(run_.folder().path("walk.png"), walk);
  report.heading("Between pictures");
  report.picture(walk, "Each row goes from one point of the latent space to another.");
  const Tensor real = unit_images(data_.train.part(0, std::min<std::int64_t>(64, data_.train.size())).images);
  report.heading("What it was shown");
  report.picture(image_grid(real, 8, 2), "Images to learn from.");
  report.heading("Curves");
  Chart losses{.title = "Losses",
               .x_label = "step",
               .curves = {{wasserstein() ? "critic" : "discriminator", run_.metrics.points("loss_discriminator")},
                          {"generator", run_.metrics.points("loss_generator")}}};
  Chart said{.title = wasserstein() ? "The critic on real and generated" : "Taken for real",
             .x_label = "step",
             .curves = {{"real", run_.metrics.points("on_real")}, {"generated", run_.metrics.points("on_fake")}}};
  if (wasserstein())
    report.charts({losses,
                   said,
                   {.title = "Slope of the critic on the mixing line",
                    .x_label = "step",
                    .curves = {{"slope", run_.metrics.points("slope")}}}});
  else
    report.charts({losses, said});
  report.heading("Flags");
  report.table(flags_table(flags_));
  run_.folder().write("report.html", report.html());
}

void GanTraining::finish() {
  save();
  write_report();
  run_.publish();
  if (wasserstein())
    run_.progress.print(fmt::format("slope of the critic on the mixing line {:.4f}", run_.metrics.last("slope")));
  run_.progress.print(fmt::format("look at {}", run_.folder().published("report.html")));
}

}  // namespace duet::examples
