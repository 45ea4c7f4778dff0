//! Which SOP Classes have pixels: whether an instance is complete with its metadata half alone.
//!
//! The table holds the storage SOP Classes of PS3.6 A.1 and PS3.4 B.5, with the retired ones that
//! archives still hold. A class that is not in it is [`PixelNeed::Unknown`]: private ones, and
//! those of later editions.

use dcmjoin_model::Uid;

use self::PixelNeed::{Needed, Never, Optional};

/// Whether instances of a SOP Class have (7FE0,0010) Pixel Data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelNeed {
    /// The IOD requires pixel data: an instance without is incomplete.
    Needed,
    /// The IOD has no pixel data: the header is the whole instance.
    Never,
    /// The IOD allows both: a dose without a grid, or a map whose pixels are
    /// (7FE0,0008) Float Pixel Data or (7FE0,0009) Double Float Pixel Data and so in the header.
    Optional,
    /// Not a SOP Class that the table knows.
    Unknown,
}

/// Returns whether instances of a SOP Class have pixels.
#[must_use]
pub fn pixels(sop_class: &Uid) -> PixelNeed {
    let Some(class) = sop_class.as_str().strip_prefix(ROOT) else {
        return PixelNeed::Unknown;
    };
    match STORAGE.binary_search_by_key(&class, |&(class, _)| class) {
        Ok(at) => STORAGE[at].1,
        Err(_) => PixelNeed::Unknown,
    }
}

/// What every storage SOP Class UID begins with.
const ROOT: &str = "1.2.840.10008.5.1.";

/// The classes by the rest of their UID, in the order of text.
#[rustfmt::skip]
const STORAGE: &[(&str, PixelNeed)] = &[
    ("1.27", Never), // Stored Print SOP Class (retired)
    ("1.29", Needed), // Hardcopy Grayscale Image SOP Class (retired)
    ("1.30", Needed), // Hardcopy Color Image SOP Class (retired)
    ("4.1.1.1", Needed), // Computed Radiography Image
    ("4.1.1.1.1", Needed), // Digital X-Ray Image - For Presentation
    ("4.1.1.1.1.1", Needed), // Digital X-Ray Image - For Processing
    ("4.1.1.1.2", Needed), // Digital Mammography X-Ray Image - For Presentation
    ("4.1.1.1.2.1", Needed), // Digital Mammography X-Ray Image - For Processing
    ("4.1.1.1.3", Needed), // Digital Intra-Oral X-Ray Image - For Presentation
    ("4.1.1.1.3.1", Needed), // Digital Intra-Oral X-Ray Image - For Processing
    ("4.1.1.10", Never), // Standalone Modality LUT (retired)
    ("4.1.1.104.1", Never), // Encapsulated PDF
    ("4.1.1.104.2", Never), // Encapsulated CDA
    ("4.1.1.104.3", Never), // Encapsulated STL
    ("4.1.1.104.4", Never), // Encapsulated OBJ
    ("4.1.1.104.5", Never), // Encapsulated MTL
    ("4.1.1.11", Never), // Standalone VOI LUT (retired)
    ("4.1.1.11.1", Never), // Grayscale Softcopy Presentation State
    ("4.1.1.11.10", Never), // Segmented Volume Rendering Volumetric Presentation State
    ("4.1.1.11.11", Never), // Multiple Volume Rendering Volumetric Presentation State
    ("4.1.1.11.12", Never), // Variable Modality LUT Softcopy Presentation State
    ("4.1.1.11.2", Never), // Color Softcopy Presentation State
    ("4.1.1.11.3", Never), // Pseudo-Color Softcopy Presentation State
    ("4.1.1.11.4", Never), // Blending Softcopy Presentation State
    ("4.1.1.11.5", Never), // XA/XRF Grayscale Softcopy Presentation State
    ("4.1.1.11.6", Never), // Grayscale Planar MPR Volumetric Presentation State
    ("4.1.1.11.7", Never), // Compositing Planar MPR Volumetric Presentation State
    ("4.1.1.11.8", Never), // Advanced Blending Presentation State
    ("4.1.1.11.9", Never), // Volume Rendering Volumetric Presentation State
    ("4.1.1.12.1", Needed), // X-Ray Angiographic Image
    ("4.1.1.12.1.1", Needed), // Enhanced XA Image
    ("4.1.1.12.2", Needed), // X-Ray Radiofluoroscopic Image
    ("4.1.1.12.2.1", Needed), // Enhanced XRF Image
    ("4.1.1.12.3", Needed), // X-Ray Angiographic Bi-Plane Image (retired)
    ("4.1.1.128", Needed), // Positron Emission Tomography Image
    ("4.1.1.128.1", Needed), // Legacy Converted Enhanced PET Image
    ("4.1.1.129", Never), // Standalone PET Curve (retired)
    ("4.1.1.13.1.1", Needed), // X-Ray 3D Angiographic Image
    ("4.1.1.13.1.2", Needed), // X-Ray 3D Craniofacial Image
    ("4.1.1.13.1.3", Needed), // Breast Tomosynthesis Image
    ("4.1.1.13.1.4", Needed), // Breast Projection X-Ray Image - For Presentation
    ("4.1.1.13.1.5", Needed), // Breast Projection X-Ray Image - For Processing
    ("4.1.1.130", Needed), // Enhanced PET Image
    ("4.1.1.131", Never), // Basic Structured Display
    ("4.1.1.14.1", Needed), // Intravascular Optical Coherence Tomography Image - For Presentation
    ("4.1.1.14.2", Needed), // Intravascular Optical Coherence Tomography Image - For Processing
    ("4.1.1.2", Needed), // CT Image
    ("4.1.1.2.1", Needed), // Enhanced CT Image
    ("4.1.1.2.2", Needed), // Legacy Converted Enhanced CT Image
    ("4.1.1.20", Needed), // Nuclear Medicine Image
    ("4.1.1.200.1", Never), // CT Defined Procedure Protocol
    ("4.1.1.200.2", Never), // CT Performed Procedure Protocol
    ("4.1.1.200.3", Never), // Protocol Approval
    ("4.1.1.200.7", Never), // XA Defined Procedure Protocol
    ("4.1.1.200.8", Never), // XA Performed Procedure Protocol
    ("4.1.1.201.1", Never), // Inventory
    ("4.1.1.3", Needed), // Ultrasound Multi-frame Image (retired)
    ("4.1.1.3.1", Needed), // Ultrasound Multi-frame Image
    ("4.1.1.30", Optional), // Parametric Map
    ("4.1.1.4", Needed), // MR Image
    ("4.1.1.4.1", Needed), // Enhanced MR Image
    ("4.1.1.4.2", Never), // MR Spectroscopy
    ("4.1.1.4.3", Needed), // Enhanced MR Color Image
    ("4.1.1.4.4", Needed), // Legacy Converted Enhanced MR Image
    ("4.1.1.481.1", Needed), // RT Image
    ("4.1.1.481.10", Never), // RT Physician Intent
    ("4.1.1.481.11", Never), // RT Segment Annotation
    ("4.1.1.481.12", Never), // RT Radiation Set
    ("4.1.1.481.13", Never), // C-Arm Photon-Electron Radiation
    ("4.1.1.481.14", Never), // Tomotherapeutic Radiation
    ("4.1.1.481.15", Never), // Robotic-Arm Radiation
    ("4.1.1.481.16", Never), // RT Radiation Record Set
    ("4.1.1.481.17", Never), // RT Radiation Salvage Record
    ("4.1.1.481.18", Never), // Tomotherapeutic Radiation Record
    ("4.1.1.481.19", Never), // C-Arm Photon-Electron Radiation Record
    ("4.1.1.481.2", Optional), // RT Dose
    ("4.1.1.481.20", Never), // Robotic Radiation Record
    ("4.1.1.481.21", Never), // RT Radiation Set Delivery Instruction
    ("4.1.1.481.22", Never), // RT Treatment Preparation
    ("4.1.1.481.23", Needed), // Enhanced RT Image
    ("4.1.1.481.24", Needed), // Enhanced Continuous RT Image
    ("4.1.1.481.25", Never), // RT Patient Position Acquisition Instruction
    ("4.1.1.481.3", Never), // RT Structure Set
    ("4.1.1.481.4", Never), // RT Beams Treatment Record
    ("4.1.1.481.5", Never), // RT Plan
    ("4.1.1.481.6", Never), // RT Brachy Treatment Record
    ("4.1.1.481.7", Never), // RT Treatment Summary Record
    ("4.1.1.481.8", Never), // RT Ion Plan
    ("4.1.1.481.9", Never), // RT Ion Beams Treatment Record
    ("4.1.1.5", Needed), // Nuclear Medicine Image (retired)
    ("4.1.1.501.1", Needed), // DICOS CT Image
    ("4.1.1.501.2.1", Needed), // DICOS Digital X-Ray Image - For Presentation
    ("4.1.1.501.2.2", Needed), // DICOS Digital X-Ray Image - For Processing
    ("4.1.1.501.3", Never), // DICOS Threat Detection Report
    ("4.1.1.501.4", Needed), // DICOS 2D AIT
    ("4.1.1.501.5", Needed), // DICOS 3D AIT
    ("4.1.1.501.6", Optional), // DICOS Quadrupole Resonance (QR)
    ("4.1.1.6", Needed), // Ultrasound Image (retired)
    ("4.1.1.6.1", Needed), // Ultrasound Image
    ("4.1.1.6.2", Needed), // Enhanced US Volume
    ("4.1.1.6.3", Needed), // Photoacoustic Image
    ("4.1.1.601.1", Needed), // Eddy Current Image
    ("4.1.1.601.2", Needed), // Eddy Current Multi-frame Image
    ("4.1.1.66", Never), // Raw Data
    ("4.1.1.66.1", Never), // Spatial Registration
    ("4.1.1.66.2", Never), // Spatial Fiducials
    ("4.1.1.66.3", Never), // Deformable Spatial Registration
    ("4.1.1.66.4", Needed), // Segmentation
    ("4.1.1.66.5", Never), // Surface Segmentation
    ("4.1.1.66.6", Never), // Tractography Results
    ("4.1.1.67", Never), // Real World Value Mapping
    ("4.1.1.68.1", Never), // Surface Scan Mesh
    ("4.1.1.68.2", Never), // Surface Scan Point Cloud
    ("4.1.1.7", Needed), // Secondary Capture Image
    ("4.1.1.7.1", Needed), // Multi-frame Single Bit Secondary Capture Image
    ("4.1.1.7.2", Needed), // Multi-frame Grayscale Byte Secondary Capture Image
    ("4.1.1.7.3", Needed), // Multi-frame Grayscale Word Secondary Capture Image
    ("4.1.1.7.4", Needed), // Multi-frame True Color Secondary Capture Image
    ("4.1.1.77.1", Needed), // VL Image - Trial (retired)
    ("4.1.1.77.1.1", Needed), // VL Endoscopic Image
    ("4.1.1.77.1.1.1", Needed), // Video Endoscopic Image
    ("4.1.1.77.1.2", Needed), // VL Microscopic Image
    ("4.1.1.77.1.2.1", Needed), // Video Microscopic Image
    ("4.1.1.77.1.3", Needed), // VL Slide-Coordinates Microscopic Image
    ("4.1.1.77.1.4", Needed), // VL Photographic Image
    ("4.1.1.77.1.4.1", Needed), // Video Photographic Image
    ("4.1.1.77.1.5.1", Needed), // Ophthalmic Photography 8 Bit Image
    ("4.1.1.77.1.5.2", Needed), // Ophthalmic Photography 16 Bit Image
    ("4.1.1.77.1.5.3", Never), // Stereometric Relationship
    ("4.1.1.77.1.5.4", Needed), // Ophthalmic Tomography Image
    ("4.1.1.77.1.5.5", Needed), // Wide Field Ophthalmic Photography Stereographic Projection Image
    ("4.1.1.77.1.5.6", Needed), // Wide Field Ophthalmic Photography 3D Coordinates Image
    ("4.1.1.77.1.5.7", Needed), // Ophthalmic Optical Coherence Tomography En Face Image
    ("4.1.1.77.1.5.8", Needed), // Ophthalmic Optical Coherence Tomography B-scan Volume Analysis
    ("4.1.1.77.1.6", Needed), // VL Whole Slide Microscopy Image
    ("4.1.1.77.1.7", Needed), // Dermoscopic Photography Image
    ("4.1.1.77.1.8", Needed), // Confocal Microscopy Image
    ("4.1.1.77.1.9", Needed), // Confocal Microscopy Tiled Pyramidal Image
    ("4.1.1.77.2", Needed), // VL Multi-frame Image - Trial (retired)
    ("4.1.1.78.1", Never), // Lensometry Measurements
    ("4.1.1.78.2", Never), // Autorefraction Measurements
    ("4.1.1.78.3", Never), // Keratometry Measurements
    ("4.1.1.78.4", Never), // Subjective Refraction Measurements
    ("4.1.1.78.5", Never), // Visual Acuity Measurements
    ("4.1.1.78.6", Never), // Spectacle Prescription Report
    ("4.1.1.78.7", Never), // Ophthalmic Axial Measurements
    ("4.1.1.78.8", Never), // Intraocular Lens Calculations
    ("4.1.1.79.1", Never), // Macular Grid Thickness and Volume Report
    ("4.1.1.8", Never), // Standalone Overlay (retired)
    ("4.1.1.80.1", Never), // Ophthalmic Visual Field Static Perimetry Measurements
    ("4.1.1.81.1", Needed), // Ophthalmic Thickness Map
    ("4.1.1.82.1", Needed), // Corneal Topography Map
    ("4.1.1.88.1", Never), // Text SR - Trial (retired)
    ("4.1.1.88.11", Never), // Basic Text SR
    ("4.1.1.88.2", Never), // Audio SR - Trial (retired)
    ("4.1.1.88.22", Never), // Enhanced SR
    ("4.1.1.88.3", Never), // Detail SR - Trial (retired)
    ("4.1.1.88.33", Never), // Comprehensive SR
    ("4.1.1.88.34", Never), // Comprehensive 3D SR
    ("4.1.1.88.35", Never), // Extensible SR
    ("4.1.1.88.4", Never), // Comprehensive SR - Trial (retired)
    ("4.1.1.88.40", Never), // Procedure Log
    ("4.1.1.88.50", Never), // Mammography CAD SR
    ("4.1.1.88.59", Never), // Key Object Selection Document
    ("4.1.1.88.65", Never), // Chest CAD SR
    ("4.1.1.88.67", Never), // X-Ray Radiation Dose SR
    ("4.1.1.88.68", Never), // Radiopharmaceutical Radiation Dose SR
    ("4.1.1.88.69", Never), // Colon CAD SR
    ("4.1.1.88.70", Never), // Implantation Plan SR
    ("4.1.1.88.71", Never), // Acquisition Context SR
    ("4.1.1.88.72", Never), // Simplified Adult Echo SR
    ("4.1.1.88.73", Never), // Patient Radiation Dose SR
    ("4.1.1.88.74", Never), // Planned Imaging Agent Administration SR
    ("4.1.1.88.75", Never), // Performed Imaging Agent Administration SR
    ("4.1.1.88.76", Never), // Enhanced X-Ray Radiation Dose SR
    ("4.1.1.88.77", Never), // Waveform Annotation SR
    ("4.1.1.9", Never), // Standalone Curve (retired)
    ("4.1.1.9.1", Never), // Waveform - Trial (retired)
    ("4.1.1.9.1.1", Never), // 12-lead ECG Waveform
    ("4.1.1.9.1.2", Never), // General ECG Waveform
    ("4.1.1.9.1.3", Never), // Ambulatory ECG Waveform
    ("4.1.1.9.1.4", Never), // General 32-bit ECG Waveform
    ("4.1.1.9.2.1", Never), // Hemodynamic Waveform
    ("4.1.1.9.3.1", Never), // Cardiac Electrophysiology Waveform
    ("4.1.1.9.4.1", Never), // Basic Voice Audio Waveform
    ("4.1.1.9.4.2", Never), // General Audio Waveform
    ("4.1.1.9.5.1", Never), // Arterial Pulse Waveform
    ("4.1.1.9.6.1", Never), // Respiratory Waveform
    ("4.1.1.9.6.2", Never), // Multi-channel Respiratory Waveform
    ("4.1.1.9.7.1", Never), // Routine Scalp Electroencephalogram Waveform
    ("4.1.1.9.7.2", Never), // Electromyogram Waveform
    ("4.1.1.9.7.3", Never), // Electrooculogram Waveform
    ("4.1.1.9.7.4", Never), // Sleep Electroencephalogram Waveform
    ("4.1.1.9.8.1", Never), // Body Position Waveform
    ("4.1.1.90.1", Never), // Content Assessment Results
    ("4.1.1.91.1", Never), // Microscopy Bulk Simple Annotations
    ("4.34.1", Never), // RT Beams Delivery Instruction - Trial (retired)
    ("4.34.10", Never), // RT Brachy Application Setup Delivery Instruction
    ("4.34.7", Never), // RT Beams Delivery Instruction
    ("4.38.1", Never), // Hanging Protocol
    ("4.39.1", Never), // Color Palette
    ("4.43.1", Never), // Generic Implant Template
    ("4.44.1", Never), // Implant Assembly Template
    ("4.45.1", Never), // Implant Template Group
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(STORAGE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn classes_by_their_pixels() {
        let check = |uid: &str, expect| assert_eq!(pixels(&Uid::parse(uid).unwrap()), expect);
        check("1.2.840.10008.5.1.4.1.1.2", Needed);
        check("1.2.840.10008.5.1.4.1.1.66.4", Needed);
        check("1.2.840.10008.5.1.4.1.1.77.1.6", Needed);
        check("1.2.840.10008.5.1.4.1.1.88.67", Never);
        check("1.2.840.10008.5.1.4.1.1.481.3", Never);
        check("1.2.840.10008.5.1.4.1.1.104.1", Never);
        check("1.2.840.10008.5.1.4.1.1.9.1.1", Never);
        check("1.2.840.10008.5.1.4.1.1.481.2", Optional);
        check("1.2.840.10008.5.1.4.1.1.30", Optional);
        check("1.2.840.10008.5.1.4.1.1", PixelNeed::Unknown);
        check("1.3.12.2.1107.5.9.1", PixelNeed::Unknown);
    }
}
