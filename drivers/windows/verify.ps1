#Requires -Version 5.1
<#
.SYNOPSIS
Says whether an installer of usbip-win2 may be installed here. It changes nothing.
.PARAMETER Installer
The file of the release, as it was downloaded.
.PARAMETER Sha256
The file's checksum, from where you keep what your organisation has approved.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Installer,
    [Parameter(Mandatory)] [ValidatePattern('^[0-9A-Fa-f]{64}$')] [string] $Sha256
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$oldest = [version]'0.9.8.0'    # 0.9.7.8 has stopped Windows with a blue screen

$file = Get-Item -LiteralPath $Installer
if ((Get-FileHash -LiteralPath $file.FullName -Algorithm SHA256).Hash -ne $Sha256) {
    throw "$($file.Name) is another file than the approved one."
}
$signature = Get-AuthenticodeSignature -LiteralPath $file.FullName
if ($signature.Status -ne 'Valid') {
    throw "The signature of $($file.Name) is $($signature.Status): $($signature.StatusMessage)"
}
$version = [version]$file.VersionInfo.FileVersionRaw
if ($version -lt $oldest) {
    throw "$($file.Name) is version ${version}: at least $oldest is needed."
}
$build = [System.Environment]::OSVersion.Version.Build
if ($build -lt 18362) {
    throw "Windows build $build is older than version 1903, which usbip-win2 needs."
}
Write-Output "$($file.Name) $version is signed by $($signature.SignerCertificate.Subject)."
